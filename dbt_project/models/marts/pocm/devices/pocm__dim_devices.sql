{{
    config(
        materialized='key_replace',
        key_columns=['tenant_id', 'device_id'],
        changed_in='int_pocm__devices_changed',
        order_by=['tenant_id', 'device_id', 'valid_from'],
        tags=['hourly'],
    )
}}

with
changes as (
    select * from {{ ref('int_pocm__devices_changed') }}
    where {{ is_touched_key() }}
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

{{
    dim_history(
        'followed',
        ['tenant_id', 'device_id'],
        ['device_type', 'firmware_version', 'batch_id', 'product_id'],
        number='version_number',
    )
}}
