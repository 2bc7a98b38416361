{{ config(materialized='view', tags=['daily']) }}

-- A view, so that a device that turns out late to be of some type or to run some firmware restates no day: every reader
-- sees the version of the time.
with
spans as (
    select * from {{ ref('int_pocm__device_spans_daily') }}
),

sensor_spans as (
    select * from {{ ref('int_pocm__sensor_spans_daily') }}
),

-- What is older than a device's first version shows as that.
versions as (
    select
        tenant_id,
        device_id,
        device_type,
        toNullable(firmware_version) as firmware_version,
        if(version_number = 1, toDateTime64(0, 3, 'UTC'), valid_from) as valid_from
    from {{ ref('pocm__dim_devices') }}
),

measured as (
    select
        spans.tenant_id as tenant_id,  -- noqa: AL09
        spans.day as day,  -- noqa: AL09
        coalesce(versions.device_type, 'unknown') as device_type,
        coalesce(versions.firmware_version, 'unknown') as firmware_version,
        sum(spans.activations) as activations,
        uniqExactIf(spans.device_id, spans.events > 0) as active_devices,
        sum(spans.patch_days_valid) as patch_days_valid,
        sum(spans.patch_days_prescribed) as patch_days_prescribed,
        sum(spans.doses) as doses,
        sum(spans.doses_successful) as doses_successful
    from spans
    asof left join versions
        on
            spans.tenant_id = versions.tenant_id
            and spans.device_id = versions.device_id
            and spans.span_start >= versions.valid_from
    group by
        tenant_id,
        day,
        device_type,
        firmware_version
),

sensors as (
    select
        sensor_spans.tenant_id as tenant_id,  -- noqa: AL09
        sensor_spans.day as day,  -- noqa: AL09
        sensor_spans.sensor as sensor,  -- noqa: AL09
        coalesce(versions.device_type, 'unknown') as device_type,
        coalesce(versions.firmware_version, 'unknown') as firmware_version,
        sum(sensor_spans.readings) as sensor_readings,
        sum(sensor_spans.anomalies) as sensor_anomalies,
        sum(sensor_spans.value_sum) as value_total,
        sum(sensor_spans.square_sum) as square_total
    from sensor_spans
    asof left join versions
        on
            sensor_spans.tenant_id = versions.tenant_id
            and sensor_spans.device_id = versions.device_id
            and sensor_spans.span_start >= versions.valid_from
    group by
        tenant_id,
        day,
        sensor,
        device_type,
        firmware_version
),

by_sensor as (
    select
        tenant_id,
        day,
        device_type,
        firmware_version,
        sum(sensor_anomalies) as anomalies,
        arraySort(groupArray((
            sensor,
            sensor_readings,
            {{ pocm_mean_value('value_total', 'sensor_readings') }},
            {{ pocm_coefficient_of_variation('value_total', 'square_total', 'sensor_readings') }}
        ))) as sensor_statistics
    from sensors
    group by
        tenant_id,
        day,
        device_type,
        firmware_version
)

select
    measured.tenant_id as tenant_id,  -- noqa: AL09
    measured.day as day,  -- noqa: AL09
    measured.device_type as device_type,  -- noqa: AL09
    measured.firmware_version as firmware_version,  -- noqa: AL09
    measured.activations,
    measured.active_devices,
    measured.patch_days_valid,
    measured.patch_days_prescribed,
    measured.doses,
    measured.doses_successful,
    by_sensor.anomalies,
    {{ ratio('measured.patch_days_valid', 'measured.patch_days_prescribed') }} as device_adherence,
    {{ ratio('measured.doses_successful', 'measured.doses') }} as dose_success_rate,
    mapFromArrays(
        tupleElement(by_sensor.sensor_statistics, 1), tupleElement(by_sensor.sensor_statistics, 2)
    ) as readings,
    mapFromArrays(
        tupleElement(by_sensor.sensor_statistics, 1), tupleElement(by_sensor.sensor_statistics, 3)
    ) as reading_mean,
    mapFromArrays(
        tupleElement(by_sensor.sensor_statistics, 1), tupleElement(by_sensor.sensor_statistics, 4)
    ) as reading_variation
from measured
left join by_sensor
    on
        measured.tenant_id = by_sensor.tenant_id
        and measured.day = by_sensor.day
        and measured.device_type = by_sensor.device_type
        and measured.firmware_version = by_sensor.firmware_version
