-- One row per thing of an hour, by whichever clock it counts, and then the things of each hour.
with
things as (
    select
        tenant_id,
        hour,
        event_type as thing,
        is_learning,
        user_key,
        xp,
        status
    from app_events
    union all by name
    select
        tenant_id,
        date_trunc('hour', started_at) as hour,
        'session' as thing
    from sessions
    union all by name
    select
        tenant_id,
        date_trunc('hour', received_at) as hour,
        'received' as thing
    from deliveries
)

select
    tenant_id,
    hour,
    count(*) filter (thing not in ('session', 'received')) as events,
    count(*) filter (is_learning) as learning_events,
    count(distinct user_key) filter (is_learning) as active_users,
    count(*) filter (thing = 'session') as sessions,
    coalesce(sum(xp) filter (thing = 'xp_earned'), 0) as xp_earned,
    count(*) filter (thing = 'api_request') as requests,
    count(*) filter (thing = 'api_request' and status >= 500) as server_errors,
    count(*) filter (thing = 'system_error') as errors,
    count(*) filter (thing = 'received') as received_rows
from things
group by tenant_id, hour
