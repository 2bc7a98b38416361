with
gained as (
    select * from app_events
    where
        event_type in ('xp_earned', 'level_up', 'achievement_unlocked', 'streak_updated')
        and user_key is not null
)

select
    tenant_id,
    user_key,
    coalesce(sum(xp) filter (event_type = 'xp_earned'), 0) as xp,
    last(level order by occurred_at, event_id) filter (event_type = 'level_up') as level,
    max(occurred_at) filter (event_type = 'level_up') as level_reached_at,
    last(days order by occurred_at, event_id) filter (event_type = 'streak_updated') as streak_days,
    max(occurred_at) filter (event_type = 'streak_updated') as streak_updated_at,
    max(days) filter (event_type = 'streak_updated') as longest_streak_days,
    count(distinct achievement) filter (event_type = 'achievement_unlocked') as achievements,
    coalesce(
        list_sort(list(distinct achievement) filter (event_type = 'achievement_unlocked')), []
    ) as achievement_names,
    max(day) as last_event_on
from gained
group by tenant_id, user_key
