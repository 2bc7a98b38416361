select
    tenant_id,
    cast(date_trunc('month', occurred_at) as date) as month,
    count(distinct user_key) as users,
    count(distinct device_id) as devices,
    count(distinct session_id) as sessions
from events
group by all
