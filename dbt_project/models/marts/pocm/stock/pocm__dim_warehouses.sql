{{
    config(
        materialized='key_replace',
        key_columns=['tenant_id', 'warehouse_id'],
        changed_in='int_pocm__warehouses_changed',
        order_by=['tenant_id', 'warehouse_id', 'valid_from'],
        tags=['hourly'],
    )
}}

with
changes as (
    select * from {{ ref('int_pocm__warehouses_changed') }}
    where {{ is_touched_key() }}
),

{{
    dim_history(
        'changes',
        ['tenant_id', 'warehouse_id'],
        ['warehouse_name', 'region', 'city'],
    )
}}
