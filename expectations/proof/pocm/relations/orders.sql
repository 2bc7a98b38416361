-- An order placed twice counts once: its first event, by time and then by id.
create table orders as
select
    tenant_id,
    order_id,
    arg_min(occurred_at, row(occurred_at, event_id)) as placed_at,
    arg_min(amount, row(occurred_at, event_id)) as amount,
    arg_min(currency, row(occurred_at, event_id)) as currency,
    arg_min(quantity, row(occurred_at, event_id)) as quantity,
    first(user_key order by occurred_at, event_id) as user_key
from shop_events
where event_type = 'ORDER_PLACED'
group by tenant_id, order_id;
