{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='day',
        order_by=['tenant_id', 'device_id', 'sensor', 'day'],
        tags=['hourly'],
    )
}}

with
readings as (
    select * from {{ ref('stg_pocm__sensor_readings') }}
    where
        {{ is_touched_event() }}
        and device_id is not null
)

select
    tenant_id,
    occurred_date as day,
    sensor,
    assumeNotNull(device_id) as device_id,
    arraySort(groupArray(value)) as sensor_values
from readings
group by
    tenant_id,
    day,
    device_id,
    sensor
