{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='day',
        order_by=['tenant_id', 'day', 'device_id', 'span_start'],
        touched_query='pocm_patch_days_touched',
        tags=['daily'],
    )
}}

-- What decides which days are touched:
-- depends_on: {{ ref('int_pocm__events_counted') }}
-- depends_on: {{ ref('int_pocm__prescriptions_assigned') }}

with
events as (
    select
        events.tenant_id,
        events.occurred_at,
        events.occurred_date,
        events.event_type,
        assumeNotNull(events.device_id) as device_id
    from {{ ref('stg_pocm__events') }} as events
    where
        {{ is_touched_event() }}
        and events.event_type in ({{ pocm_telemetry_types() }})
        and events.device_id is not null
),

doses as (
    select
        doses.tenant_id,
        doses.occurred_at,
        doses.occurred_date,
        assumeNotNull(doses.device_id) as device_id
    from {{ ref('stg_pocm__doses') }} as doses
    where
        {{ is_touched_event() }}
        and doses.device_id is not null
        and doses.success
),

patch_days as (
    select * from {{ ref('int_pocm__patch_days') }}
    where {{ is_touched('day') }}
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

-- A day of a prescription has no time of day: it belongs to the version with which the day ended.
moments as (
    select
        tenant_id,
        device_id,
        occurred_date as day,
        occurred_at as happened_at,
        event_type as fact,
        false as is_marked
    from events
    union all
    select
        tenant_id,
        device_id,
        occurred_date as day,
        occurred_at as happened_at,
        'dose succeeded' as fact,
        true as is_marked
    from doses
    union all
    select
        tenant_id,
        device_id,
        day,
        toDateTime64(day + 1, 3, 'UTC') as happened_at,
        'patch day' as fact,
        has_valid_patch as is_marked
    from patch_days
),

placed as (
    select
        moments.tenant_id,
        moments.device_id,
        moments.day,
        moments.fact,
        moments.is_marked,
        {{ pocm_span_start('moments.day') }} as span_start
    from moments
    asof left join changes
        on
            moments.tenant_id = changes.tenant_id
            and moments.device_id = changes.device_id
            and moments.day = changes.changed_date
            and moments.happened_at >= changes.changed_at
)

select
    tenant_id,
    day,
    device_id,
    span_start,
    countIf(fact not in ('dose succeeded', 'patch day')) as events,
    countIf(fact = 'DEVICE_ACTIVATED') as activations,
    countIf(fact = 'DOSE_DELIVERED') as doses,
    countIf(fact = 'dose succeeded') as doses_successful,
    countIf(fact = 'patch day') as patch_days_prescribed,
    countIf(fact = 'patch day' and is_marked) as patch_days_valid
from placed
group by
    tenant_id,
    day,
    device_id,
    span_start
