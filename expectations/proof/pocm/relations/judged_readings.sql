-- Readings with the median, and the median distance from it, of what their sensor read in the week that ends with their
-- day. Of an even number of values the upper one of the middle is the median.
create macro upper_median(numbers) as list_sort(numbers)[1 + len(numbers) // 2];

create table judged_readings as
with
readings as (
    select * from device_events
    where event_type = 'SENSOR_READING' and device_id is not null
),

weeks as (
    select
        own.tenant_id,
        own.device_id,
        own.sensor,
        own.day,
        list(week.reading) as read,
        upper_median(read) as median
    from (select distinct tenant_id, device_id, sensor, day from readings) as own
    inner join readings as week
        on
            own.tenant_id = week.tenant_id
            and own.device_id = week.device_id
            and own.sensor = week.sensor
            and week.day between own.day - 6 and own.day
    group by all
),

spreads as (
    select * exclude (read), upper_median(list_transform(read, lambda value: abs(value - median))) as mad
    from weeks
)

select
    readings.*,
    readings.occurred_at as moment,
    spreads.median,
    spreads.mad,
    abs(reading - median) as distance,
    mad > 0 and distance > cast(4 as double) * cast(1.4826 as double) * mad as anomalous
from readings
inner join spreads using (tenant_id, device_id, sensor, day);
