{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='day',
        order_by=['tenant_id', 'day', 'device_id', 'span_start', 'sensor'],
        touched_query='pocm_device_readings_touched',
        tags=['daily'],
    )
}}

-- What decides which days are touched:
-- depends_on: {{ ref('int_pocm__events_counted') }}

with
readings as (
    select * from {{ ref('pocm__fact_device_readings') }}
    where {{ is_touched('reading_date') }}
),

changes as (
    select distinct
        tenant_id,
        device_id,
        changed_date,
        changed_at
    from {{ ref('int_pocm__devices_changed') }}
    where {{ is_touched('changed_date') }}
),

-- Sums of whole numbers are exact in any order; those of floats are not.
placed as (
    select
        readings.tenant_id,
        readings.device_id,
        readings.sensor,
        readings.is_anomaly,
        readings.reading_date as day,
        toInt128(floor(readings.value * 10000 + 0.5)) as scaled_value,
        {{ pocm_span_start('readings.reading_date') }} as span_start
    from readings
    asof left join changes
        on
            readings.tenant_id = changes.tenant_id
            and readings.device_id = changes.device_id
            and readings.reading_date = changes.changed_date
            and readings.read_at >= changes.changed_at
)

select
    tenant_id,
    day,
    device_id,
    span_start,
    sensor,
    count() as readings,
    countIf(is_anomaly) as anomalies,
    sum(scaled_value) as value_sum,
    sum(scaled_value * scaled_value) as square_sum
from placed
group by
    tenant_id,
    day,
    device_id,
    span_start,
    sensor
