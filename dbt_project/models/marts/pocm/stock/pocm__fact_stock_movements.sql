{{
    config(
        materialized='partition_replace',
        date_column='movement_date',
        partition='month',
        order_by=['tenant_id', 'product_id', 'warehouse_id', 'moved_at', 'event_id'],
        tags=['hourly'],
    )
}}

with
receipts as (
    select * from {{ ref('stg_pocm__stock_receipts') }}
    where {{ is_touched_event() }}
),

shipments as (
    select * from {{ ref('stg_pocm__stock_shipments') }}
    where {{ is_touched_event() }}
),

adjustments as (
    select * from {{ ref('stg_pocm__stock_adjustments') }}
    where {{ is_touched_event() }}
),

transfers as (
    select
        *,
        `from` as from_warehouse_id,
        `to` as to_warehouse_id
    from {{ ref('stg_pocm__stock_transfers') }}
    where {{ is_touched_event() }}
),

movements as (
    select
        tenant_id,
        event_id,
        occurred_at,
        received_at,
        product_id,
        warehouse_id,
        batch_id,
        'received' as movement_type,
        quantity,
        toNullable(unit_cost) as unit_cost,
        currency,
        cast(null, 'Nullable(String)') as order_id,
        cast(null, 'Nullable(String)') as reason,
        cast(null, 'Nullable(String)') as other_warehouse_id,
        expires_on
    from receipts
    union all
    select
        tenant_id,
        event_id,
        occurred_at,
        received_at,
        product_id,
        warehouse_id,
        batch_id,
        'shipped' as movement_type,
        -quantity as quantity,
        toNullable(unit_cost) as unit_cost,
        currency,
        toNullable(order_id) as order_id,
        cast(null, 'Nullable(String)') as reason,
        cast(null, 'Nullable(String)') as other_warehouse_id,
        cast(null, 'Nullable(Date32)') as expires_on
    from shipments
    union all
    select
        tenant_id,
        event_id,
        occurred_at,
        received_at,
        product_id,
        warehouse_id,
        batch_id,
        'adjusted' as movement_type,
        delta as quantity,
        cast(null, 'Nullable(Decimal(18, 4))') as unit_cost,
        cast(null, 'Nullable(String)') as currency,
        cast(null, 'Nullable(String)') as order_id,
        toNullable(reason) as reason,
        cast(null, 'Nullable(String)') as other_warehouse_id,
        cast(null, 'Nullable(Date32)') as expires_on
    from adjustments
    union all
    select
        tenant_id,
        event_id,
        occurred_at,
        received_at,
        product_id,
        from_warehouse_id as warehouse_id,
        batch_id,
        'transferred_out' as movement_type,
        -quantity as quantity,
        cast(null, 'Nullable(Decimal(18, 4))') as unit_cost,
        cast(null, 'Nullable(String)') as currency,
        cast(null, 'Nullable(String)') as order_id,
        cast(null, 'Nullable(String)') as reason,
        toNullable(to_warehouse_id) as other_warehouse_id,
        cast(null, 'Nullable(Date32)') as expires_on
    from transfers
    union all
    select
        tenant_id,
        event_id,
        occurred_at,
        received_at,
        product_id,
        to_warehouse_id as warehouse_id,
        batch_id,
        'transferred_in' as movement_type,
        quantity,
        cast(null, 'Nullable(Decimal(18, 4))') as unit_cost,
        cast(null, 'Nullable(String)') as currency,
        cast(null, 'Nullable(String)') as order_id,
        cast(null, 'Nullable(String)') as reason,
        toNullable(from_warehouse_id) as other_warehouse_id,
        cast(null, 'Nullable(Date32)') as expires_on
    from transfers
)

select
    tenant_id,
    event_id,
    movement_type,
    occurred_at as moved_at,
    product_id,
    warehouse_id,
    batch_id,
    quantity,
    unit_cost,
    currency,
    order_id,
    reason,
    other_warehouse_id,
    expires_on,
    received_at,
    toDate(occurred_at) as movement_date,
    toDecimal128(quantity, 0) * unit_cost as cost
from movements
