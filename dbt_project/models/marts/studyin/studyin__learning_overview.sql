{{
    config(
        materialized='view',
        tags=['hourly'],
    )
}}

with
newest as (
    select
        tenant_id,
        max(day) as as_of_day
    from {{ ref('int_studyin__actives_daily') }}
    where active_users > 0
    group by tenant_id
),

days as (
    select *
    from {{ ref('int_studyin__activity_days') }}
    where
        user_key != ''
        -- Most of the months are left out before the tenants are told apart.
        and day >= (select {{ days_before('min(as_of_day)', 29) }} from newest)
),

recent as (
    select
        days.tenant_id,
        days.user_key,
        newest.as_of_day as as_of_day,  -- noqa: AL09
        countIf(days.learning_events > 0) as active_days,
        maxIf(toNullable(days.day), days.learning_events > 0) as last_active_on,
        sum(days.sessions) as sessions,
        sum(days.sessions_closed) as sessions_closed,
        sum(days.session_duration_ms) as session_duration_ms,
        {{- studyin_activity_sums('days') }}
    from days
    inner join newest on days.tenant_id = newest.tenant_id
    where days.day between {{ days_before('newest.as_of_day', 29) }} and newest.as_of_day
    group by
        days.tenant_id,
        days.user_key,
        newest.as_of_day
)

select
    tenant_id,
    user_key,
    as_of_day,
    active_days,
    last_active_on,
    learning_events,
    sessions,
    sessions_closed,
    session_duration_ms,
    materials_viewed,
    material_clicks,
    materials_completed,
    material_duration_s,
    assessments_submitted,
    assessments_scored,
    assessment_score_sum,
    xp_earned,
    level_ups,
    achievements_unlocked,
    coach_interactions,
    coach_feedback,
    {{ studyin_avg_session_duration() }} as avg_session_duration_s,
    {{ studyin_avg_assessment_score() }} as avg_assessment_score
from recent
