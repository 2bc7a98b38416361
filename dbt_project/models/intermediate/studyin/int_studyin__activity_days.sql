{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'user_key', 'day'],
        touched_by=['session'],
        tags=['hourly'],
    )
}}

with
hours as (
    select * from {{ ref('int_studyin__activity_hours') }}
    where {{ is_touched('toDate(hour)') }}
),

sessions as (
    select * from {{ ref('studyin__learning_sessions') }}
    where {{ is_touched('session_date') }}
),

learnt as (
    select
        hours.tenant_id,
        hours.user_key,
        toDate(hours.hour) as day,
        sumMap(map(toHour(hours.hour), hours.learning_events)) as learning_events_by_hour,
        {{- studyin_activity_sums('hours') }}
    from hours
    group by
        hours.tenant_id,
        hours.user_key,
        day
),

opened as (
    select
        sessions.tenant_id,
        sessions.session_date as day,
        coalesce(sessions.user_key, '') as user_key,
        count() as sessions,
        countIf(sessions.is_closed) as sessions_closed,
        sum(sessions.duration_ms) as session_duration_ms
    from sessions
    group by
        sessions.tenant_id,
        user_key,
        day
),

grains as (
    select
        tenant_id,
        user_key,
        day
    from learnt
    union distinct
    select
        tenant_id,
        user_key,
        day
    from opened
)

select
    -- A column that several joined relations share is named with its relation by ClickHouse, unless it has an alias.
    grains.user_key as user_key,  -- noqa: AL09
    grains.day as day,  -- noqa: AL09
    opened.sessions,
    opened.sessions_closed,
    opened.session_duration_ms,
    {{- studyin_activity_columns('learnt') }},
    learnt.learning_events_by_hour,
    toLowCardinality(grains.tenant_id) as tenant_id
from grains
left join learnt
    on grains.tenant_id = learnt.tenant_id and grains.user_key = learnt.user_key and grains.day = learnt.day
left join opened
    on grains.tenant_id = opened.tenant_id and grains.user_key = opened.user_key and grains.day = opened.day
