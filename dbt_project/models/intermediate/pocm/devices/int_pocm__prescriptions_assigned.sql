{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='assigned_date',
        partition='month',
        order_by=['tenant_id', 'prescription_id', 'assigned_at', 'event_id'],
        post_hook='{{ pocm_remember_prescriptions() }}',
        tags=['hourly'],
    )
}}

with
prescriptions as (
    select * from {{ ref('stg_pocm__prescriptions') }}
    where
        {{ is_touched_event() }}
        -- Dates that ClickHouse's Date cannot hold are no days of anybody's therapy.
        and starts_on between toDate32('1970-01-01') and toDate32('2100-01-01')
)

select
    prescriptions.tenant_id,
    prescriptions.prescription_id,
    prescriptions.event_id,
    prescriptions.occurred_date as assigned_date,
    prescriptions.occurred_at as assigned_at,
    prescriptions.received_hour,
    assumeNotNull(prescriptions.device_id) as device_id,
    toUInt32(prescriptions.prescribed_days) as prescribed_days,
    toDate(prescriptions.starts_on) as starts_on,
    toDate(prescriptions.starts_on + prescriptions.prescribed_days - 1) as ends_on
from prescriptions
where prescriptions.device_id is not null
