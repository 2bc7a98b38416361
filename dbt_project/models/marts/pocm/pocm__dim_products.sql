{{
    config(
        materialized='exchanged_table',
        order_by=['tenant_id', 'product_id', 'valid_from'],
        tags=['hourly'],
    )
}}

with
changes as (
    select * from {{ ref('int_pocm__products_changed') }}
),

{{
    dim_history(
        'changes',
        ['tenant_id', 'product_id'],
        ['product_name', 'category', 'brand', 'is_patch', 'unit_cost', 'list_price', 'currency', 'sku'],
    )
}}
