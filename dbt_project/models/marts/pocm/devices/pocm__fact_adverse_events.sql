{{
    config(
        materialized='partition_replace',
        date_column='reported_date',
        partition='month',
        order_by=['tenant_id', 'reported_at', 'event_id'],
        tags=['hourly'],
    )
}}

with
reports as (
    select * from {{ ref('stg_pocm__adverse_events') }}
    where {{ is_touched_event() }}
)

select
    tenant_id,
    event_id,
    occurred_date as reported_date,
    occurred_at as reported_at,
    device_id,
    batch_id,
    product_id,
    code,
    received_at,
    coalesce(severity, 'unknown') as severity
from reports
