{{
    config(
        materialized='view',
        tags=['hourly'],
    )
}}

with
days as (
    select * from {{ ref('int_studyin__gamification_days') }}
),

-- A day's last level is the latest of its day, so the latest of all is that of the latest day with one.
merged as (
    select
        days.tenant_id,
        days.user_key,
        sum(days.xp_earned) as xp,
        argMaxIf(days.last_level, days.day, days.last_level is not null) as level,
        max(days.level_reached_at) as level_reached_at,
        argMaxIf(days.last_streak_days, days.day, days.last_streak_days is not null) as streak_days,
        max(days.streak_updated_at) as streak_updated_at,
        max(days.longest_streak_days) as longest_streak_days,
        arraySort(groupUniqArrayArray(days.achievement_names)) as achievement_names,
        max(days.day) as last_event_on
    from days
    group by
        days.tenant_id,
        days.user_key
)

select
    tenant_id,
    user_key,
    xp,
    level,
    level_reached_at,
    streak_days,
    streak_updated_at,
    longest_streak_days,
    achievement_names,
    last_event_on,
    length(achievement_names) as achievements
from merged
