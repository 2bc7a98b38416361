{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='hour',
        order_by=['tenant_id', 'hour', 'device_id'],
        tags=['hourly'],
    )
}}

with
events as (
    select * from {{ ref('stg_pocm__events') }}
    where
        {{ is_touched_event() }}
        and event_type in ({{ pocm_telemetry_types() }})
        and device_id is not null
)

select
    tenant_id,
    assumeNotNull(device_id) as device_id,
    toStartOfHour(occurred_at) as hour,
    count() as events
from events
group by
    tenant_id,
    device_id,
    hour
