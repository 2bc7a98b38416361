{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='changed_date',
        partition='month',
        order_by=['tenant_id', 'product_id', 'changed_at', 'event_id'],
        index_granularity=256,
        tags=['hourly'],
    )
}}

with
products as (
    select * from {{ ref('stg_pocm__products') }}
    where {{ is_touched_event() }}
)

select
    tenant_id,
    product_id,
    occurred_date as changed_date,
    occurred_at as changed_at,
    event_id,
    name as product_name,
    category,
    brand,
    is_patch,
    unit_cost,
    list_price,
    currency,
    sku
from products
