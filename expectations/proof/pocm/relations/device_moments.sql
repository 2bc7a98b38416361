-- What devices did, and the days of prescriptions, each under what the device was at the time. A day of a prescription
-- counts under what the device was when the day ended.
create table device_moments as
with
moments as (
    select tenant_id, device_id, day, occurred_at as moment, event_type as fact, success as flag, event_id
    from device_events
    where telemetry
    union all by name
    select
        tenant_id,
        device_id,
        day,
        cast(day + interval 1 day - interval 1 millisecond as timestamp_ms) as moment,
        'prescribed' as fact,
        worn as flag
    from prescription_days
)

select
    moments.*,
    coalesce(version.device_type, 'unknown') as device_type,
    coalesce(version.firmware_version, 'unknown') as firmware_version
from moments
asof left join device_versions as version
    on
        moments.tenant_id = version.tenant_id
        and moments.device_id = version.device_id
        and moments.moment >= version.since;
