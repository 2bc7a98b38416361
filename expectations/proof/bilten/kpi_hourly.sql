select
    tenant_id,
    period as hour,
    currency,
    users as active_users,
    * exclude (tenant_id, period, currency, users, session_ms)
from kpi('hour')
