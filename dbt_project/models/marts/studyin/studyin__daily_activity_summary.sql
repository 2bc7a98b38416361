{{
    config(
        materialized='partition_replace',
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'day'],
        touched_by=['session'],
        tags=['daily'],
    )
}}

with
days as (
    select * from {{ ref('int_studyin__activity_days') }}
    where {{ is_touched('day') }}
),

actives as (
    select * from {{ ref('int_studyin__actives_daily') }}
    where {{ is_touched('day') }}
),

summed as (
    select
        days.tenant_id,
        days.day,
        sumIf(days.learning_events, days.user_key = '') as events_without_user,
        sum(days.sessions) as sessions,
        sum(days.sessions_closed) as sessions_closed,
        sum(days.session_duration_ms) as session_duration_ms,
        {{- studyin_activity_sums('days') }}
    from days
    group by
        days.tenant_id,
        days.day
)

select
    -- A column that several joined relations share is named with its relation by ClickHouse, unless it has an alias.
    summed.tenant_id as tenant_id,  -- noqa: AL09
    summed.day as day,  -- noqa: AL09
    actives.active_users,
    summed.events_without_user,
    summed.sessions,
    summed.sessions_closed,
    summed.session_duration_ms,
    {{- studyin_activity_columns('summed') }},
    {{ studyin_avg_session_duration() }} as avg_session_duration_s,
    {{ studyin_avg_assessment_score() }} as avg_assessment_score
from summed
left join actives on summed.tenant_id = actives.tenant_id and summed.day = actives.day
