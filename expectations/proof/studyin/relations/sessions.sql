-- Learning sessions with their bounds, and the end that closed each.
create table sessions as
with
inside as (
    select * from app_events where is_learning and session_id is not null
),

begun as (
    select
        tenant_id,
        session_id,
        coalesce(min(occurred_at) filter (event_type = 'session_start'), min(occurred_at)) as started_at,
        max(occurred_at) as last_at,
        first(user_key order by occurred_at, event_id) filter (user_key is not null) as user_key,
        count(*) filter (event_type = 'session_start') as starts,
        count(*) filter (event_type = 'session_end') as ends,
        count(*) as learning_events,
        coalesce(sum(xp) filter (event_type = 'xp_earned'), 0) as xp_earned,
        count(*) filter (event_type = 'material_view') as materials_viewed,
        count(*) filter (event_type = 'material_complete') as materials_completed,
        count(*) filter (event_type = 'ai_coach_interaction') as coach_interactions
    from inside
    group by tenant_id, session_id
),

closed as (
    select distinct on (tenant_id, session_id)
        inside.tenant_id,
        inside.session_id,
        inside.occurred_at as closed_at,
        inside.duration_s,
        inside.xp
    from inside
    inner join begun using (tenant_id, session_id)
    where inside.event_type = 'session_end' and inside.occurred_at >= begun.started_at
    order by inside.tenant_id, inside.session_id, inside.occurred_at desc, inside.event_id desc
)

select
    begun.*,
    cast(begun.started_at as date) as session_date,
    coalesce(closed.closed_at, begun.last_at) as ended_at,
    closed.closed_at is not null as is_closed,
    epoch_ms(coalesce(closed.closed_at, begun.last_at)) - epoch_ms(begun.started_at) as duration_ms,
    closed.duration_s as reported_duration_s,
    closed.xp as reported_xp
from begun
left join closed using (tenant_id, session_id);
