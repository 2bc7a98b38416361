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
    where {{ is_touched_event() }}
),

order_events as (
    select * from {{ ref('int_pocm__order_events_unioned') }}
    where {{ is_linked('occurred_date') }}
),

-- What all events of an order tell; the first that places it is the order.
followed as (
    select
        tenant_id,
        order_id,
        argMinIf(event_id, (occurred_at, event_id), event_type = 'ORDER_PLACED') as placed_by,
        minIf(toNullable(occurred_at), event_type = 'ORDER_CANCELLED') as cancelled_at,
        argMinIf(reason, (occurred_at, event_id), event_type = 'ORDER_CANCELLED') as cancellation_reason,
        countIf(event_type = 'REFUND_ISSUED') as refunds,
        toUInt64(sumIf(coalesce(quantity, 0), event_type = 'RETURN_RECEIVED')) as items_returned
    from order_events
    group by
        tenant_id,
        order_id
)

select
    placed.tenant_id,
    placed.order_id,
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
    followed.cancelled_at,
    followed.cancellation_reason,
    followed.refunds,
    followed.items_returned,
    placed.received_at,
    toUInt32(length(placed.items)) as lines,
    accurateCast(
        arraySum(cast(tupleElement(placed.items, 'quantity'), 'Array(Int128)')), 'UInt64'
    ) as items,
    toBool(followed.cancelled_at is not null) as is_cancelled,
    toBool(followed.refunds > 0) as is_refunded
from placements as placed
inner join followed
    on
        placed.tenant_id = followed.tenant_id
        and placed.order_id = followed.order_id
        and placed.event_id = followed.placed_by
