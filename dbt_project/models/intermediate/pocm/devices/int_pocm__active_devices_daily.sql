{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='day',
        order_by=['tenant_id', 'day'],
        tags=['daily'],
    )
}}

with
hours as (
    select * from {{ ref('int_pocm__device_hours') }}
    where {{ is_touched('toDate(hour)') }}
)

select
    tenant_id,
    toDate(hour) as day,
    uniqExactState(device_id) as telemetry_devices_state
from hours
group by
    tenant_id,
    day
