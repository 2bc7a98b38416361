{{
    config(
        materialized='table',
        order_by=['tenant_id', 'device_id', 'valid_from'],
        tags=['hourly'],
    )
}}

with
changes as (
    select * from {{ ref('int_pocm__devices_changed') }}
),

-- An update changes the firmware; the rest is as the device was last activated.
followed as (
    select
        tenant_id,
        device_id,
        changed_at,
        event_id,
        firmware_version,
        argMaxIf(device_type, (changed_at, event_id), is_activation) over device_history as device_type,
        argMaxIf(batch_id, (changed_at, event_id), is_activation) over device_history as batch_id,
        argMaxIf(product_id, (changed_at, event_id), is_activation) over device_history as product_id
    from changes
    window device_history as (
        partition by tenant_id, device_id
        order by changed_at, event_id
        rows between unbounded preceding and current row
    )
),

-- Of changes at the same moment the last by event id holds.
states as (
    select *
    from followed
    order by
        changed_at desc,
        event_id desc
    limit 1 by (tenant_id, device_id, changed_at)
),

compared as (
    select
        *,
        toString((device_type, firmware_version, batch_id, product_id)) as attributes,
        lagInFrame(attributes) over device_history as attributes_before
    from states
    window device_history as (
        partition by tenant_id, device_id
        order by changed_at
        rows between unbounded preceding and current row
    )
),

versions as (
    select *
    from compared
    where attributes != attributes_before
)

select
    tenant_id,
    device_id,
    changed_at as valid_from,
    device_type,
    firmware_version,
    batch_id,
    product_id,
    toUInt32(row_number() over device_versions) as version_number,
    leadInFrame(toNullable(changed_at)) over device_versions as valid_to,
    toBool(valid_to is null) as is_current
from versions
window device_versions as (
    partition by tenant_id, device_id
    order by changed_at
    rows between unbounded preceding and unbounded following
)
