with
summed as (
    select
        tenant_id,
        subscription_id,
        min(since) as started_at,
        arg_min(event_type, row(since, event_id)) = 'SUBSCRIPTION_STARTED' as is_start_known,
        first(user_key order by since, event_id) filter (user_key is not null) as user_key,
        count(*) filter (active and not active_before) as times_started,
        count(*) filter (active and active_before) as times_renewed,
        count(*) filter (active and not active_after) as times_cancelled,
        max(until) filter (active and not active_after) as ended_at
    from subscription_terms
    group by all
)

select
    tenant_id,
    subscription_id,
    cast(summed.started_at as date) as started_date,
    summed.started_at,
    summed.is_start_known,
    summed.user_key,
    newest.plan,
    newest.currency,
    newest.period,
    newest.amount,
    newest.active as is_active,
    case when not newest.active then summed.ended_at end as cancelled_at,
    summed.times_started,
    summed.times_renewed,
    summed.times_cancelled,
    newest.since as last_changed_at
from summed
inner join subscription_terms as newest using (tenant_id, subscription_id)
where newest.until is null
