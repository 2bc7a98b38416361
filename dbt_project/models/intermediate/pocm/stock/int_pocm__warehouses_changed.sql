{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='changed_date',
        partition='month',
        order_by=['tenant_id', 'warehouse_id', 'changed_at', 'event_id'],
        index_granularity=256,
        tags=['hourly'],
    )
}}

with
warehouses as (
    select * from {{ ref('stg_pocm__warehouses') }}
    where {{ is_touched_event() }}
)

select
    tenant_id,
    warehouse_id,
    occurred_date as changed_date,
    occurred_at as changed_at,
    event_id,
    name as warehouse_name,
    region,
    city
from warehouses
