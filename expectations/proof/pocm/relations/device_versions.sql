-- What a device was from a moment on: of what kind it was last activated, and the firmware it told of last. The first
-- moment of a device reaches back to the beginning of time.
create table device_versions as
with
told as (
    select
        tenant_id,
        device_id,
        occurred_at,
        event_id,
        event_type = 'DEVICE_ACTIVATED' as activated,
        device_type,
        coalesce(installed, firmware_version) as firmware
    from device_events
    where event_type in ('DEVICE_ACTIVATED', 'FIRMWARE_UPDATED') and device_id is not null
),

states as (
    select
        tenant_id,
        device_id,
        occurred_at,
        firmware,
        (
            select arg_max(earlier.device_type, row(earlier.occurred_at, earlier.event_id))
            from told as earlier
            where
                earlier.activated
                and earlier.tenant_id = told.tenant_id
                and earlier.device_id = told.device_id
                and row(earlier.occurred_at, earlier.event_id) <= row(told.occurred_at, told.event_id)
        ) as device_type
    from told
    qualify row_number() over (partition by tenant_id, device_id, occurred_at order by event_id desc) = 1
)

select
    tenant_id,
    device_id,
    coalesce(device_type, 'unknown') as device_type,
    firmware as firmware_version,
    case
        when lag(occurred_at) over device is null then timestamp_ms '1900-01-01'
        else occurred_at
    end as since
from states
window device as (partition by tenant_id, device_id order by occurred_at);
