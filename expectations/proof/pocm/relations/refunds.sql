-- A refund is partial while all refunds of its payment so far stay below the captured amount.
create table refunds as
with
running as (
    select
        *,
        sum(amount) over (
            partition by tenant_id, payment_id
            order by occurred_at, event_id
            rows between unbounded preceding and current row
        ) as refunded_so_far
    from shop_events
    where event_type = 'REFUND_ISSUED'
)

select
    running.tenant_id,
    running.occurred_at,
    running.order_id,
    running.currency,
    running.amount,
    coalesce(paid.gateway, 'unknown') as gateway,
    coalesce(paid.method, 'unknown') as method,
    coalesce(running.refunded_so_far < paid.amount, false) as is_partial
from running
left join payments as paid
    on
        running.tenant_id = paid.tenant_id
        and running.payment_id = paid.payment_id
        and paid.is_first_capture;
