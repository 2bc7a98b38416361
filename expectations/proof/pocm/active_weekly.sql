select
    tenant_id,
    cast(date_trunc('week', occurred_at) as date) as week,
    count(distinct user_key) as users,
    count(distinct device_id) as devices,
    count(distinct session_id) as sessions
from events
group by all
