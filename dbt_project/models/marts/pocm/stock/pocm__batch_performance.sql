{{
    config(
        materialized='view',
        tags=['daily'],
    )
}}

with
days as (
    select * from {{ ref('int_pocm__batches_daily') }}
),

batches as (
    select * from {{ ref('pocm__dim_batches') }}
),

counted as (
    select
        tenant_id,
        batch_id,
        sum(received) as received,
        sum(sold) as sold,
        sum(returned) as returned,
        sum(adverse_events) as adverse_events,
        sum(adverse_events_mild) as adverse_events_mild,
        sum(adverse_events_moderate) as adverse_events_moderate,
        sum(adverse_events_severe) as adverse_events_severe,
        sum(adverse_events_fatal) as adverse_events_fatal,
        sum(adverse_events_unknown) as adverse_events_unknown,
        max(day) as last_day
    from days
    group by
        tenant_id,
        batch_id
)

select
    counted.tenant_id,
    counted.batch_id,
    batches.product_id,
    counted.received,
    counted.sold,
    counted.returned,
    counted.adverse_events,
    counted.adverse_events_mild,
    counted.adverse_events_moderate,
    counted.adverse_events_severe,
    counted.adverse_events_fatal,
    counted.adverse_events_unknown,
    counted.last_day,
    batches.recalled_at,
    batches.is_recalled as recalled,
    {{ ratio('counted.returned', 'counted.sold') }} as return_rate,
    {{ ratio('counted.adverse_events', 'counted.sold') }} as adverse_events_per_unit_sold
from counted
inner join batches on counted.tenant_id = batches.tenant_id and counted.batch_id = batches.batch_id
