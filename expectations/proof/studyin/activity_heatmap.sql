select
    tenant_id,
    user_key,
    isodow(day) as weekday,
    hour(occurred_at) as hour_of_day,
    count(*) as learning_events,
    count(distinct hour) as active_hours,
    max(day) as last_active_on
from app_events
where is_learning and user_key is not null
group by all
