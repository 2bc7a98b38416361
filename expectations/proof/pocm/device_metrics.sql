with
counted as (
    select
        tenant_id,
        day,
        device_type,
        firmware_version,
        count(*) filter (fact = 'DEVICE_ACTIVATED') as activations,
        count(distinct device_id) filter (fact <> 'prescribed') as active_devices,
        count(*) filter (fact = 'prescribed' and flag) as patch_days_valid,
        count(*) filter (fact = 'prescribed') as patch_days_prescribed,
        count(*) filter (fact = 'DOSE_DELIVERED') as doses,
        count(*) filter (fact = 'DOSE_DELIVERED' and flag) as doses_successful
    from device_moments
    group by all
),

scaled as (
    select
        moments.tenant_id,
        moments.day,
        moments.device_type,
        moments.firmware_version,
        judged.sensor,
        judged.anomalous,
        -- In whole ten-thousandths, whose sums are exact.
        cast(floor(judged.reading * 10000 + 0.5) as hugeint) as number
    from judged_readings as judged
    inner join device_moments as moments using (event_id)
),

summed as (
    select
        tenant_id,
        day,
        device_type,
        firmware_version,
        sensor,
        count(*) as readings,
        count(*) filter (anomalous) as anomalies,
        sum(number) as total,
        sum(number * number) as squares
    from scaled
    group by all
),

measured as (
    select
        *,
        cast(cast(total as varchar) as double) / cast(readings as double) as mean,
        sqrt(
            cast(cast(readings * squares - total * total as varchar) as double)
            / (cast(readings as double) * cast(readings - 1 as double))
        ) as deviation
    from summed
),

sensors as (
    select
        tenant_id,
        day,
        device_type,
        firmware_version,
        sum(anomalies) as anomalies,
        map_from_entries(list(row(sensor, readings) order by sensor)) as readings,
        map_from_entries(list(row(sensor, mean / 10000) order by sensor)) as reading_mean,
        map_from_entries(
            list(
                row(sensor, case when readings > 1 and total <> 0 then deviation / abs(mean) end) order by sensor
            )
        ) as reading_variation
    from measured
    group by all
)

select
    tenant_id,
    day,
    device_type,
    firmware_version,
    activations,
    active_devices,
    patch_days_valid,
    patch_days_prescribed,
    ratio(patch_days_valid, patch_days_prescribed) as device_adherence,
    doses,
    doses_successful,
    ratio(doses_successful, doses) as dose_success_rate,
    coalesce(anomalies, 0) as anomalies,
    coalesce(readings, map {}) as readings,
    coalesce(reading_mean, map {}) as reading_mean,
    coalesce(reading_variation, map {}) as reading_variation
from counted
left join sensors using (tenant_id, day, device_type, firmware_version)
