{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='order_date',
        order_by=['tenant_id', 'order_id', 'line_number'],
        touched_by=['order'],
        tags=['hourly'],
    )
}}

with
orders as (
    select * from {{ ref('pocm__fact_orders') }}
    where {{ is_touched('order_date') }}
),

placements as (
    select * from {{ ref('stg_pocm__orders') }}
    where {{ is_touched_event() }}
),

lines as (
    select
        event_id,
        line_number,
        tupleElement(item, 'product_id') as product_id,
        tupleElement(item, 'batch_id') as batch_id,
        tupleElement(item, 'quantity') as quantity,
        tupleElement(item, 'unit_price') as unit_price,
        tupleElement(item, 'unit_cost') as unit_cost
    from placements
    array join
        items as item,
        arrayEnumerate(items) as line_number
)

select
    orders.tenant_id,
    orders.order_id,
    lines.line_number,
    orders.order_date,
    orders.placed_at,
    orders.currency,
    lines.product_id,
    lines.batch_id,
    lines.quantity,
    lines.unit_price,
    lines.unit_cost
from lines
inner join orders on lines.event_id = orders.event_id
