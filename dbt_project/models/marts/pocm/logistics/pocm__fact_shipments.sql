{{
    config(
        materialized='partition_replace',
        date_column='shipment_date',
        order_by=['tenant_id', 'shipment_date', 'shipment_id'],
        touched_by=['shipment', 'order'],
        linked_by=['shipment', 'order'],
        tags=['hourly'],
    )
}}

with
events as (
    select * from {{ ref('int_pocm__shipment_events_unioned') }}
    where {{ is_linked('occurred_date') }}
),

orders as (
    select
        tenant_id,
        toNullable(order_id) as order_id,
        toNullable(currency) as currency
    from {{ ref('pocm__fact_orders') }}
    where {{ is_linked('order_date') }}
),

gathered as (
    select
        tenant_id,
        shipment_id,
        min(occurred_at) as first_event_at,
        argMin(order_id, (occurred_at, event_id)) as order_id,
        argMin(warehouse_id, (occurred_at, event_id)) as warehouse_id,
        argMin(region, (occurred_at, event_id)) as region,
        argMin(city, (occurred_at, event_id)) as city,
        argMin(carrier, (occurred_at, event_id)) as carrier,
        minIf(toNullable(occurred_at), event_type = 'SHIPMENT_CREATED') as created_at,
        argMinIf(toNullable(event_id), (occurred_at, event_id), event_type = 'SHIPMENT_CREATED') as created_event_id,
        argMinIf(eta, (occurred_at, event_id), event_type = 'SHIPMENT_CREATED') as first_promised_eta,
        groupArrayIf((occurred_at, event_id, assumeNotNull(eta)), event_type = 'ETA_REVISED') as revisions,
        coalesce(max(attempt), 0) as attempts,
        argMinIf(attempt, (occurred_at, event_id), success) as succeeded_attempt,
        argMin(delivered_at, (occurred_at, event_id)) as delivered_at,
        minIf(toNullable(occurred_at), event_type = 'SHIPMENT_DELIVERED') as delivery_told_at,
        minIf(toNullable(occurred_at), event_type = 'SHIPMENT_RETURNED_TO_ORIGIN') as returned_to_origin_at,
        argMin(reason, (occurred_at, event_id)) as origin_return_reason
    from events
    group by
        tenant_id,
        shipment_id
),

-- What is promised after the parcel has arrived promises nothing.
promised as (
    select
        *,
        arrayConcat(
            if(
                created_at is null,
                [],
                [(assumeNotNull(created_at), assumeNotNull(created_event_id), assumeNotNull(first_promised_eta))]
            ),
            arrayFilter(revision -> coalesce(tupleElement(revision, 1) <= delivered_at, true), revisions)
        ) as promises,
        arrayLastOrNull(
            moment -> true, arrayMap(promise -> tupleElement(promise, 3), arraySort(promises))
        ) as last_promised_eta
    from gathered
)

select
    promised.tenant_id,
    promised.shipment_id,
    promised.order_id,
    promised.warehouse_id,
    promised.carrier,
    promised.created_at,
    promised.first_promised_eta,
    promised.last_promised_eta,
    promised.attempts,
    promised.delivered_at,
    promised.returned_to_origin_at,
    promised.origin_return_reason,
    cast(promised.delivered_at <= promised.first_promised_eta, 'Nullable(Bool)') as is_on_time,
    cast(promised.delivered_at <= promised.last_promised_eta, 'Nullable(Bool)') as is_on_time_latest_eta,
    toDate(coalesce(promised.created_at, promised.first_event_at)) as shipment_date,
    coalesce(promised.region, 'unknown') as region,
    coalesce(promised.city, 'unknown') as city,
    coalesce(orders.currency, 'XXX') as currency,
    toUInt64(length(promised.revisions)) as eta_revisions,
    if(
        promised.delivered_at is null, null, coalesce(promised.succeeded_attempt, promised.attempts + 1)
    ) as delivered_attempt,
    toDate(promised.delivery_told_at) as delivery_date,
    toDate(promised.returned_to_origin_at) as origin_return_date,
    dateDiff('millisecond', promised.created_at, promised.delivered_at) as delivery_ms,
    toBool(promised.delivered_at is not null) as is_delivered,
    toBool(promised.returned_to_origin_at is not null) as is_returned_to_origin
from promised
left join orders on promised.tenant_id = orders.tenant_id and promised.order_id = orders.order_id
