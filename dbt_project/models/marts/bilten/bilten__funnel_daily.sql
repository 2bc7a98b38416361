{{
    config(
        materialized='partition_replace',
        date_column='day',
        order_by=['tenant_id', 'day', 'scope', 'step_number'],
        touched_by=['session', 'visit'],
        linked_by=['session', 'visit'],
        tags=['daily'],
    )
}}

with
sessions as (
    select
        *,
        toNullable(session_id) as session_key
    from {{ ref('bilten__fact_sessions') }}
    where
        {{ is_touched('session_date') }}
        and not is_bot
),

events as (
    select * from {{ ref('bilten__fact_events') }}
    where
        {{ is_linked('event_date') }}
        and session_id is not null
        and ticketed_event_id is not null
        and event_type in ('page_view', 'click', 'conversion')
),

steps_of_ticketed_events as (
    select
        tenant_id,
        session_id,
        ticketed_event_id,
        groupArrayIf(occurred_at, event_type = 'page_view') as views,
        groupArrayIf(occurred_at, event_type = 'click') as clicked,
        groupArrayIf(occurred_at, event_type = 'conversion' and coalesce(event_name = 'registration', false))
            as registered,
        groupArrayIf(occurred_at, event_type = 'conversion' and coalesce(event_name = 'ticket_purchase', false))
            as purchased
    from events
    group by
        tenant_id,
        session_id,
        ticketed_event_id
),

times_of_ticketed_events as (
    select
        sessions.tenant_id as tenant_id,  -- noqa: AL09
        sessions.session_date as day,
        assumeNotNull(steps.ticketed_event_id) as scope,
        {{ bilten_funnel_times() }}
    from steps_of_ticketed_events as steps
    inner join sessions on steps.tenant_id = sessions.tenant_id and steps.session_id = sessions.session_key
),

times as (
    select
        tenant_id,
        session_date as day,
        'all' as scope,
        viewed_at,
        clicked_at,
        registered_at,
        purchased_at
    from sessions
    union all
    select
        tenant_id,
        day,
        scope,
        viewed_at,
        clicked_at,
        registered_at,
        purchased_at
    from times_of_ticketed_events
),

{{
    funnel_steps('times', [
        ('view', 'viewed_at', 'clicked_at'),
        ('click', 'clicked_at', 'registered_at'),
        ('registration', 'registered_at', 'purchased_at'),
        ('purchase', 'purchased_at', none),
    ])
}}
