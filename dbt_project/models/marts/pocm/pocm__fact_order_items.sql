{{ config(materialized='view', tags=['hourly']) }}

-- A view, so that a product change that arrives late restates no line: every reader sees the version of the order's
-- time, an order from before the first version that one, and an order of an unknown product heals when it is named.
with
items as (
    select * from {{ ref('int_pocm__order_items_unnested') }}
),

products as (
    select
        tenant_id,
        product_id,
        if(
            valid_from = min(valid_from) over (partition by tenant_id, product_id),
            toDateTime64(0, 3, 'UTC'),
            valid_from
        ) as holds_from,
        toNullable(product_name) as product_name,
        toNullable(category) as category,
        toNullable(brand) as brand,
        toNullable(is_patch) as is_patch
    from {{ ref('pocm__dim_products') }}
)

select
    items.tenant_id,
    items.order_id,
    items.line_number,
    items.order_date,
    items.placed_at,
    items.currency,
    items.product_id,
    products.is_patch,
    items.batch_id,
    items.quantity,
    items.unit_price,
    items.unit_cost,
    coalesce(products.product_name, 'unknown') as product_name,
    coalesce(products.category, 'unknown') as category,
    coalesce(products.brand, 'unknown') as brand
from items
asof left join products
    on
        items.tenant_id = products.tenant_id
        and items.product_id = products.product_id
        and items.placed_at >= products.holds_from
