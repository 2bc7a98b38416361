{{
    config(
        materialized='partition_replace',
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'day', 'region', 'city'],
        touched_by=['shipment', 'order'],
        linked_by=['shipment'],
        tags=['daily'],
    )
}}

with
shipments as (
    select * from {{ ref('pocm__fact_shipments') }}
    where {{ is_linked('shipment_date') }}
),

returned as (
    select * from {{ ref('pocm__fact_returns') }}
    where {{ is_touched('return_date') }}
),

-- Each measure belongs to the day on which it happened: one shipment may stand on three of them.
milestones as (
    select
        tenant_id,
        region,
        city,
        is_on_time,
        is_on_time_latest_eta,
        delivered_attempt,
        delivery_ms as took_ms,
        tupleElement(milestone, 1) as day,
        tupleElement(milestone, 2) as fact,
        toInt64(0) as quantity
    from shipments
    array join
        [
            (toDate(created_at), 'shipped'),
            (delivery_date, 'delivered'),
            (origin_return_date, 'returned to origin')
        ] as milestone
),

facts as (
    select
        tenant_id,
        region,
        city,
        fact,
        is_on_time,
        is_on_time_latest_eta,
        delivered_attempt,
        took_ms,
        quantity,
        day
    from milestones
    where day is not null
    union all
    select
        tenant_id,
        region,
        city,
        'returned' as fact,
        cast(null, 'Nullable(Bool)') as is_on_time,
        cast(null, 'Nullable(Bool)') as is_on_time_latest_eta,
        cast(null, 'Nullable(Int64)') as delivered_attempt,
        cast(null, 'Nullable(Int64)') as took_ms,
        quantity,
        return_date as day
    from returned
),

counted as (
    select
        tenant_id,
        day,
        region,
        city,
        countIf(fact = 'shipped') as shipped,
        countIf(fact = 'delivered') as delivered,
        countIf(fact = 'delivered' and is_on_time) as delivered_on_time,
        countIf(fact = 'delivered' and is_on_time_latest_eta) as delivered_on_time_latest_eta,
        countIf(fact = 'delivered' and delivered_attempt = 1) as delivered_first_attempt,
        countIf(fact = 'delivered' and took_ms is not null) as delivered_timed,
        sumIf(coalesce(took_ms, 0), fact = 'delivered') as delivery_ms,
        countIf(fact = 'returned to origin') as rto,
        toUInt64(sumIf(quantity, fact = 'returned')) as returns  -- noqa: RF04
    from facts
    group by
        tenant_id,
        day,
        region,
        city
)

select
    tenant_id,
    region,
    city,
    shipped,
    delivered,
    delivered_on_time,
    delivered_on_time_latest_eta,
    delivered_first_attempt,
    delivered_timed,
    delivery_ms,
    rto,
    returns,
    assumeNotNull(day) as day,
    {{ ratio('delivered_on_time', 'delivered') }} as on_time_rate,
    {{ ratio('delivered_on_time_latest_eta', 'delivered') }} as on_time_latest_eta,
    {{ ratio('delivered_first_attempt', 'delivered') }} as first_attempt_rate,
    {{ ratio('delivery_ms', 'delivered_timed') }} / 3600000 as avg_delivery_hours
from counted
