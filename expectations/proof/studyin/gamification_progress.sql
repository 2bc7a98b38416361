select
    tenant_id,
    user_key,
    day,
    coalesce(sum(xp) filter (event_type = 'xp_earned'), 0) as xp_earned,
    count(*) filter (event_type = 'xp_earned') as xp_gains,
    count(*) filter (event_type = 'level_up') as level_ups,
    last(level order by occurred_at, event_id) filter (event_type = 'level_up') as level,
    count(distinct achievement) filter (event_type = 'achievement_unlocked') as achievements_unlocked,
    coalesce(
        list_sort(list(distinct achievement) filter (event_type = 'achievement_unlocked')), []
    ) as achievement_names,
    last(days order by occurred_at, event_id) filter (event_type = 'streak_updated') as streak_days
from app_events
where
    event_type in ('xp_earned', 'level_up', 'achievement_unlocked', 'streak_updated')
    and user_key is not null
group by tenant_id, user_key, day
