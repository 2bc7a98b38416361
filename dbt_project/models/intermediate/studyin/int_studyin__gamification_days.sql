{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'user_key', 'day'],
        tags=['hourly'],
    )
}}

with
events as (
    select
        *,
        -- Of events at one moment the last by event id is the latest.
        (occurred_at, event_id) as place
    from {{ ref('stg_studyin__gamification_events') }}
    where
        {{ is_touched_event() }}
        and user_key is not null
)

select
    tenant_id,
    occurred_date as day,
    assumeNotNull(user_key) as user_key,
    sumIf(coalesce(xp, 0), event_type = 'xp_earned') as xp_earned,
    countIf(event_type = 'xp_earned') as xp_gains,
    countIf(event_type = 'level_up') as level_ups,
    argMaxIf(level, place, event_type = 'level_up') as last_level,
    maxIf(toNullable(occurred_at), event_type = 'level_up') as level_reached_at,
    argMaxIf(days, place, event_type = 'streak_updated') as last_streak_days,
    maxIf(toNullable(occurred_at), event_type = 'streak_updated') as streak_updated_at,
    maxIf(days, event_type = 'streak_updated') as longest_streak_days,
    arraySort(groupUniqArrayIf(assumeNotNull(achievement), event_type = 'achievement_unlocked')) as achievement_names
from events
group by
    tenant_id,
    user_key,
    day
