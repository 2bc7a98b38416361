{{
    config(
        materialized='partition_replace',
        date_column='order_date',
        order_by=['tenant_id', 'placed_at', 'order_id'],
        touched_by=['order'],
        linked_by=['order'],
        tags=['hourly'],
    )
}}

with
placements as (
    select * from {{ ref('stg_pocm__orders') }}
    where {{ is_linked_event() }}
),

cancellations as (
    select * from {{ ref('stg_pocm__order_cancellations') }}
    where {{ is_linked_event() }}
),

refunds as (
    select * from {{ ref('stg_pocm__refunds') }}
    where {{ is_linked_event() }}
),

returned as (
    select * from {{ ref('stg_pocm__returns') }}
    where {{ is_linked_event() }}
),

first_placements as (
    select *
    from placements
    order by
        occurred_at,
        event_id
    limit 1 by (tenant_id, order_id)
),

first_cancellations as (
    select
        tenant_id,
        order_id,
        toNullable(min(occurred_at)) as cancelled_at,
        toNullable(argMin(reason, (occurred_at, event_id))) as cancellation_reason
    from cancellations
    group by
        tenant_id,
        order_id
),

refunds_of_order as (
    select
        tenant_id,
        order_id,
        count() as refunds
    from refunds
    group by
        tenant_id,
        order_id
),

returns_of_order as (
    select
        tenant_id,
        order_id,
        toUInt64(sum(quantity)) as items_returned
    from returned
    group by
        tenant_id,
        order_id
)

select
    -- A column that three joined relations share is named with its relation by ClickHouse, unless it has an alias.
    placed.tenant_id as tenant_id,  -- noqa: AL09
    placed.order_id as order_id,  -- noqa: AL09
    placed.occurred_date as order_date,
    placed.occurred_at as placed_at,
    placed.event_id,
    placed.user_key,
    placed.session_id,
    placed.cart_id,
    placed.currency,
    placed.amount,
    placed.discount_amount,
    placed.shipping_amount,
    placed.tax_amount,
    placed.channel,
    placed.region,
    placed.city,
    placed.promotion_code,
    placed.affiliate_id,
    cancelled.cancelled_at,
    cancelled.cancellation_reason,
    refunded.refunds,
    sent_back.items_returned,
    placed.received_at,
    toUInt32(length(placed.items)) as lines,
    accurateCast(
        arraySum(cast(tupleElement(placed.items, 'quantity'), 'Array(Int128)')), 'UInt64'
    ) as items,
    toBool(cancelled.cancelled_at is not null) as is_cancelled,
    toBool(refunded.refunds > 0) as is_refunded
from first_placements as placed
left join first_cancellations as cancelled
    on placed.tenant_id = cancelled.tenant_id and placed.order_id = cancelled.order_id
left join refunds_of_order as refunded
    on placed.tenant_id = refunded.tenant_id and placed.order_id = refunded.order_id
left join returns_of_order as sent_back
    on placed.tenant_id = sent_back.tenant_id and placed.order_id = sent_back.order_id
