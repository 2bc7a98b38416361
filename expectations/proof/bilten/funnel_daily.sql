-- Step by step: the first event of a step's kind that is not before the step before.
with
scoped as (
    select placed.*, 'all' as scope
    from placed
    union all
    select placed.*, ticketed_event_id as scope
    from placed
    where ticketed_event_id is not null and event_type in ('page_view', 'click', 'conversion')
),

kinds as (
    select
        scoped.tenant_id,
        scoped.session,
        cast(sessions.started_at as date) as day,
        scoped.scope,
        scoped.occurred_at,
        case
            when scoped.event_type = 'page_view' then 1
            when scoped.event_type = 'click' then 2
            when scoped.event_type = 'conversion' and scoped.event_name = 'registration' then 3
            when scoped.event_type = 'conversion' and scoped.event_name = 'ticket_purchase' then 4
        end as kind
    from scoped
    inner join sessions on scoped.tenant_id = sessions.tenant_id and scoped.session = sessions.session
    where not sessions.is_bot
),

times as (
    select
        tenant_id,
        day,
        scope,
        session,
        min(occurred_at) filter (kind = 1) as t1,
        list(occurred_at) filter (kind = 2) as clicks,
        list(occurred_at) filter (kind = 3) as registrations,
        list(occurred_at) filter (kind = 4) as purchases
    from kinds
    group by all
),

viewed as (
    select *, list_min(list_filter(clicks, lambda t: t >= t1)) as t2 from times
),

clicked as (
    select *, list_min(list_filter(registrations, lambda t: t >= t2)) as t3 from viewed
),

registered as (
    select *, list_min(list_filter(purchases, lambda t: t >= t3)) as t4 from clicked
),

steps as (
    select
        tenant_id,
        day,
        scope,
        unnest([1, 2, 3, 4]) as step_number,
        unnest([t1, t2, t3, t4]) as reached_at,
        unnest([t2, t3, t4, null]) as next_at
    from registered
),

counted as (
    select
        tenant_id,
        day,
        scope,
        step_number,
        count(reached_at) as sessions,
        count(next_at) as onward,
        list_sort(
            list(epoch_ms(next_at) - epoch_ms(reached_at)) filter (next_at is not null)
        ) as waits_ms
    from steps
    group by all
)

select
    tenant_id,
    day,
    scope,
    step_number,
    ['view', 'click', 'registration', 'purchase'][step_number] as step,
    sessions,
    case when step_number < 4 then onward end as sessions_next,
    case when step_number < 4 and sessions > 0 then 1 - onward / sessions end as drop_off_rate,
    -- of an even number the upper of the two in the middle: number floor(0.5 n), counted from 0
    cast(waits_ms[1 + cast(floor(0.5 * len(waits_ms)) as bigint)] as double) / 1000 as median_seconds_to_next
from counted
