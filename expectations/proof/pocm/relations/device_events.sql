-- Every event of a device's life, with the fields that the marts read; `telemetry` is what shows a device at work.
create table device_events as
with
parsed as (
    select
        event_type,
        tenant_id,
        device_id,
        occurred_at,
        received_at,
        event_id,
        json_extract_string(
            payload,
            [
                '$.device_type', '$.firmware_version', '$.to', '$.prescription_id', '$.starts_on',
                '$.prescribed_days', '$.valid', '$.success', '$.sensor', '$.value', '$.unit'
            ]
        ) as field
    from events
    where
        event_type in (
            'DEVICE_ACTIVATED', 'PRESCRIPTION_ASSIGNED', 'PATCH_APPLIED', 'DOSE_DELIVERED', 'SENSOR_READING',
            'DEVICE_STATUS', 'FIRMWARE_UPDATED', 'DEVICE_INTERACTION', 'ADVERSE_EVENT_REPORTED'
        )
)

select
    event_type,
    tenant_id,
    device_id,
    occurred_at,
    received_at,
    event_id,
    cast(occurred_at as date) as day,
    device_id is not null and event_type not in ('PRESCRIPTION_ASSIGNED', 'ADVERSE_EVENT_REPORTED') as telemetry,
    field[1] as device_type,
    field[2] as firmware_version,
    field[3] as installed,
    field[4] as prescription_id,
    cast(field[5] as date) as starts_on,
    cast(field[6] as bigint) as prescribed_days,
    field[7] = 'true' as valid,
    field[8] = 'true' as success,
    field[9] as sensor,
    cast(field[10] as double) as reading,
    field[11] as unit
from parsed;
