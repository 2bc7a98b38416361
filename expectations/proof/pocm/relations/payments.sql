-- Every attempt to pay, and the first capture of each payment, to which refunds and chargebacks belong.
create table payments as
select
    *,
    event_type = 'PAYMENT_CAPTURED' as captured,
    event_type = 'PAYMENT_CAPTURED'
    and row_number() over (
        partition by tenant_id, payment_id, event_type order by occurred_at, event_id
    ) = 1 as is_first_capture
from shop_events
where event_type in ('PAYMENT_CAPTURED', 'PAYMENT_FAILED');
