select
    tenant_id,
    event_id,
    day as reading_date,
    occurred_at as read_at,
    device_id,
    sensor,
    reading as value,
    unit,
    median as trailing_median,
    mad as trailing_mad,
    case when mad > 0 then distance / (cast(1.4826 as double) * mad) end as robust_deviations,
    anomalous as is_anomaly,
    received_at
from judged_readings
