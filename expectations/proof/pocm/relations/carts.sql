-- A cart is abandoned when none of its orders is placed within 72 hours after it was created.
create table carts as
with
created as (
    select tenant_id, cart_id, min(occurred_at) as created_at
    from shop_events
    where event_type = 'CART_CREATED'
    group by tenant_id, cart_id
),

named as (
    select
        tenant_id,
        cart_id,
        arg_min(currency, row(occurred_at, event_id)) filter (currency is not null) as currency
    from shop_events
    where cart_id is not null
    group by tenant_id, cart_id
),

ordered as (
    select tenant_id, cart_id, list(occurred_at) as placed
    from shop_events
    where event_type = 'ORDER_PLACED' and cart_id is not null
    group by tenant_id, cart_id
)

select
    created.tenant_id,
    created.cart_id,
    created.created_at,
    coalesce(named.currency, 'XXX') as currency,
    coalesce(
        len(
            list_filter(
                ordered.placed,
                lambda t: t >= created.created_at and t <= created.created_at + interval 72 hours
            )
        ),
        0
    ) = 0 as abandoned
from created
left join named using (tenant_id, cart_id)
left join ordered using (tenant_id, cart_id);
