{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'name', 'unit', 'series', 'day'],
        tags=['hourly'],
    )
}}

with
readings as (
    select * from {{ ref('int_insights__metric_samples') }}
    where
        {{ is_touched_event() }}
        and type = 'counter'
        and reading is not null
)

select
    tenant_id,
    occurred_date as day,
    name,
    unit,
    series,
    argMax(assumeNotNull(reading), (occurred_at, event_id)) as last_reading
from readings
group by
    tenant_id,
    day,
    name,
    unit,
    series
