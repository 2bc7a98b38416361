select
    tenant_id,
    event_type,
    event_id,
    occurred_at,
    received_at,
    user_key,
    session_id,
    device_id,
    order_id,
    trace_id,
    load_id,
    row_number
from events
qualify row_number() over (partition by event_type order by occurred_at desc, event_id desc) <= 1000
