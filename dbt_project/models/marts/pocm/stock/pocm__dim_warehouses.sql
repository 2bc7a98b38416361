{{
    config(
        materialized='exchanged_table',
        order_by=['tenant_id', 'warehouse_id', 'valid_from'],
        tags=['hourly'],
    )
}}

with
changes as (
    select * from {{ ref('int_pocm__warehouses_changed') }}
),

{{
    dim_history(
        'changes',
        ['tenant_id', 'warehouse_id'],
        ['warehouse_name', 'region', 'city'],
    )
}}
