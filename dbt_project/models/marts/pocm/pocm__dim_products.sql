{{
    config(
        materialized='key_replace',
        key_columns=['tenant_id', 'product_id'],
        changed_in='int_pocm__products_changed',
        order_by=['tenant_id', 'product_id', 'valid_from'],
        tags=['hourly'],
    )
}}

with
changes as (
    select * from {{ ref('int_pocm__products_changed') }}
    where {{ is_touched_key() }}
),

{{
    dim_history(
        'changes',
        ['tenant_id', 'product_id'],
        ['product_name', 'category', 'brand', 'is_patch', 'unit_cost', 'list_price', 'currency', 'sku'],
    )
}}
