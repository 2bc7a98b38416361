-- The stretches of time over which a subscription stood as one event had left it; the newest has no end.
create table subscription_terms as
with
told as (
    select
        *,
        json_extract_string(payload, '$.subscription_id') as subscription_id,
        json_extract_string(payload, '$.plan') as plan,
        json_extract_string(payload, '$.currency') as currency,
        json_extract_string(payload, '$.period') as period,
        cast(json_extract_string(payload, '$.amount') as decimal(18, 4)) as amount
    from events
    where event_type in ('SUBSCRIPTION_STARTED', 'SUBSCRIPTION_RENEWED', 'SUBSCRIPTION_CANCELLED')
)

select
    tenant_id,
    subscription_id,
    event_type,
    event_id,
    user_key,
    plan,
    currency,
    period,
    amount,
    event_type != 'SUBSCRIPTION_CANCELLED' as active,
    occurred_at as since,
    lead(occurred_at) over history as until,
    lead(event_type != 'SUBSCRIPTION_CANCELLED') over history as active_after,
    lead(row(plan, currency)) over history as line_after,
    coalesce(lag(event_type != 'SUBSCRIPTION_CANCELLED') over history, false) as active_before,
    lag(row(plan, currency)) over history as line_before
from told
window history as (partition by tenant_id, subscription_id order by occurred_at, event_id);
