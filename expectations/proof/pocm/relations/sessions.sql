-- A session starts with its first browse, cart, order or payment event and counts under the first currency named.
create table sessions as
select
    tenant_id,
    session_id,
    min(occurred_at) as started_at,
    coalesce(
        arg_min(currency, row(occurred_at, event_id)) filter (
            currency is not null
            and event_type in (
                'PRODUCT_VIEWED', 'CART_ITEM_ADDED', 'CART_ITEM_REMOVED', 'CHECKOUT_STARTED',
                'ORDER_PLACED', 'PAYMENT_CAPTURED', 'PAYMENT_FAILED'
            )
        ),
        'XXX'
    ) as currency
from shop_events
where session_id is not null and event_type not in ('REFUND_ISSUED', 'CHARGEBACK_OPENED')
group by tenant_id, session_id;
