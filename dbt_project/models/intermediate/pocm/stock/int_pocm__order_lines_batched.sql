{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='order_date',
        partition='month',
        order_by=['tenant_id', 'order_id', 'line_number'],
        touched_by=['order'],
        linked_by=['order'],
        tags=['hourly'],
    )
}}

-- A line that names no batch has the one that was shipped for it first, as soon as that is known.
with
lines as (
    select * from {{ ref('int_pocm__order_items_unnested') }}
    where {{ is_touched('order_date') }}
),

shipments as (
    select
        *,
        assumeNotNull(order_id) as shipped_order_id
    from {{ ref('pocm__fact_stock_movements') }}
    where
        {{ is_linked('movement_date') }}
        and movement_type = 'shipped'
),

shipped as (
    select
        tenant_id,
        shipped_order_id as order_id,
        product_id,
        toNullable(argMin(batch_id, (moved_at, event_id))) as batch_id
    from shipments
    group by
        tenant_id,
        shipped_order_id,
        product_id
)

select
    lines.tenant_id,
    lines.order_id,
    lines.line_number,
    lines.order_date,
    lines.placed_at,
    lines.product_id,
    lines.quantity,
    coalesce(lines.batch_id, shipped.batch_id) as batch_id
from lines
left join shipped
    on
        lines.tenant_id = shipped.tenant_id
        and lines.order_id = shipped.order_id
        and lines.product_id = shipped.product_id
