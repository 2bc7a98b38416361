-- Every event of the browse, cart, order and payment groups, with the fields that the marts read.
create table shop_events as
with
parsed as (
    select
        event_type,
        tenant_id,
        session_id,
        user_key,
        occurred_at,
        event_id,
        json_extract_string(
            payload,
            [
                '$.product_id', '$.currency', '$.cart_id', '$.order_id', '$.payment_id', '$.amount',
                '$.gateway', '$.method', '$.latency_ms', '$.risk_score', '$.results_count'
            ]
        ) as field,
        case
            when event_type = 'ORDER_PLACED' then json_extract_string(payload, '$.items[*].quantity')
        end as quantities
    from events
    where
        event_type in (
            'SEARCH', 'SEARCH_RESULT_CLICKED', 'PRODUCT_VIEWED',
            'CART_CREATED', 'CART_ITEM_ADDED', 'CART_ITEM_REMOVED', 'CHECKOUT_STARTED',
            'ORDER_PLACED', 'ORDER_CANCELLED',
            'PAYMENT_CAPTURED', 'PAYMENT_FAILED', 'REFUND_ISSUED', 'CHARGEBACK_OPENED'
        )
)

select
    event_type,
    tenant_id,
    session_id,
    user_key,
    occurred_at,
    event_id,
    field[1] as product_id,
    field[2] as currency,
    field[3] as cart_id,
    field[4] as order_id,
    field[5] as payment_id,
    cast(field[6] as decimal(18, 4)) as amount,
    field[7] as gateway,
    field[8] as method,
    cast(field[9] as bigint) as latency_ms,
    cast(field[10] as double) as risk_score,
    cast(field[11] as bigint) as results_count,
    cast(list_sum(list_transform(quantities, lambda q: cast(q as bigint))) as bigint) as quantity
from parsed;
