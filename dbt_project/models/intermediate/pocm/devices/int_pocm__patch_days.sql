{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'day', 'device_id', 'prescription_id'],
        touched_query='pocm_patch_days_touched',
        tags=['daily'],
    )
}}

with
prescriptions as (
    select *
    from {{ ref('int_pocm__prescriptions_assigned') }}
    order by
        assigned_at,
        event_id
    limit 1 by (tenant_id, prescription_id)
),

newest_days as (
    select
        tenant_id,
        max(day) as newest_day
    from {{ ref('int_pocm__events_counted') }}
    group by tenant_id
),

patches as (
    select * from {{ ref('stg_pocm__patches') }}
    where
        {{ is_touched_event() }}
        and device_id is not null
        and valid
),

valid_patches as (
    select distinct
        tenant_id,
        occurred_date as day,
        true as is_valid,
        assumeNotNull(device_id) as device_id
    from patches
),

elapsed as (
    select
        prescriptions.tenant_id,
        prescriptions.prescription_id,
        prescriptions.device_id,
        prescriptions.starts_on,
        least(prescriptions.ends_on, newest_days.newest_day) as last_day
    from prescriptions
    inner join newest_days on prescriptions.tenant_id = newest_days.tenant_id
    where prescriptions.starts_on <= newest_days.newest_day
),

days as (
    select
        tenant_id,
        prescription_id,
        device_id,
        {{ days_to_replace('starts_on', 'last_day') }} as day
    from elapsed
)

select
    days.tenant_id,
    days.prescription_id,
    days.device_id,
    days.day,
    toBool(valid_patches.is_valid) as has_valid_patch
from days
left join valid_patches
    on
        days.tenant_id = valid_patches.tenant_id
        and days.device_id = valid_patches.device_id
        and days.day = valid_patches.day
where {{ is_touched('days.day') }}
