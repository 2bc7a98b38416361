{{
    config(
        materialized='partition_replace',
        date_column='reading_date',
        order_by=['tenant_id', 'device_id', 'sensor', 'read_at', 'event_id'],
        touched_query='pocm_device_readings_touched',
        tags=['hourly'],
    )
}}

-- What decides which days are touched:
-- depends_on: {{ ref('int_pocm__events_counted') }}

with
readings as (
    select * from {{ ref('stg_pocm__sensor_readings') }}
    where
        {{ is_touched_event() }}
        and device_id is not null
),

days as (
    select * from {{ ref('int_pocm__sensor_values_daily') }}
    where {{ is_within_days_before_touched('day', 6) }}
),

weeks as (
    select
        tenant_id,
        device_id,
        sensor,
        day,
        arraySort(groupArrayArray(sensor_values) over (
            partition by tenant_id, device_id, sensor
            order by toInt32(day)
            range between 6 preceding and current row
        )) as trailing_values
    from days
),

medians as (
    select
        tenant_id,
        device_id,
        sensor,
        day,
        trailing_values,
        trailing_values[intDiv(length(trailing_values), 2) + 1] as trailing_median
    from weeks
    where {{ is_touched('day') }}
),

spreads as (
    select
        tenant_id,
        device_id,
        sensor,
        day,
        trailing_median,
        arraySort(arrayMap(reading -> abs(reading - trailing_median), trailing_values))[
            intDiv(length(trailing_values), 2) + 1
        ] as trailing_mad
    from medians
)

select
    readings.tenant_id,
    readings.event_id,
    readings.occurred_date as reading_date,
    readings.occurred_at as read_at,
    readings.sensor,
    readings.value,
    readings.unit,
    readings.received_at,
    spreads.trailing_median,
    spreads.trailing_mad,
    assumeNotNull(readings.device_id) as device_id,
    if(
        spreads.trailing_mad = 0,
        null,
        abs(readings.value - spreads.trailing_median) / (1.4826 * spreads.trailing_mad)
    ) as robust_deviations,
    toBool(
        spreads.trailing_mad > 0
        and abs(readings.value - spreads.trailing_median) > 4 * 1.4826 * spreads.trailing_mad
    ) as is_anomaly
from readings
inner join spreads
    on
        readings.tenant_id = spreads.tenant_id
        and readings.device_id = spreads.device_id
        and readings.sensor = spreads.sensor
        and readings.occurred_date = spreads.day
