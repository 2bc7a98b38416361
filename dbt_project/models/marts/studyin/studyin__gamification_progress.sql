{{
    config(
        materialized='view',
        tags=['hourly'],
    )
}}

with
days as (
    select * from {{ ref('int_studyin__gamification_days') }}
)

select
    tenant_id,
    user_key,
    day,
    xp_earned,
    xp_gains,
    level_ups,
    last_level as level,
    achievement_names,
    last_streak_days as streak_days,
    length(achievement_names) as achievements_unlocked
from days
