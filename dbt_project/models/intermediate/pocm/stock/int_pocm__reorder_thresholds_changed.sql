{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='changed_date',
        partition='month',
        order_by=['tenant_id', 'product_id', 'warehouse_id', 'changed_at', 'event_id'],
        index_granularity=256,
        tags=['daily'],
    )
}}

with
thresholds as (
    select * from {{ ref('stg_pocm__reorder_thresholds') }}
    where {{ is_touched_event() }}
)

select
    tenant_id,
    product_id,
    warehouse_id,
    occurred_date as changed_date,
    occurred_at as changed_at,
    event_id,
    threshold
from thresholds
