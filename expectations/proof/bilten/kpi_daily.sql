select
    tenant_id,
    cast(period as date) as day,
    currency,
    users as dau,
    * exclude (tenant_id, period, currency, users, session_ms)
from kpi('day')
