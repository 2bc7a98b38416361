{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='changed_date',
        partition='month',
        order_by=['tenant_id', 'device_id', 'changed_at', 'event_id'],
        index_granularity=256,
        tags=['hourly'],
    )
}}

with
activations as (
    select * from {{ ref('stg_pocm__device_activations') }}
    where
        {{ is_touched_event() }}
        and device_id is not null
),

updates as (
    select * from {{ ref('stg_pocm__firmware_updates') }}
    where
        {{ is_touched_event() }}
        and device_id is not null
)

select
    tenant_id,
    assumeNotNull(device_id) as device_id,
    occurred_date as changed_date,
    occurred_at as changed_at,
    event_id,
    true as is_activation,
    toNullable(device_type) as device_type,
    firmware_version,
    toNullable(batch_id) as batch_id,
    product_id
from activations
union all
select
    tenant_id,
    assumeNotNull(device_id) as device_id,
    occurred_date as changed_date,
    occurred_at as changed_at,
    event_id,
    false as is_activation,
    cast(null, 'Nullable(String)') as device_type,
    `to` as firmware_version,
    cast(null, 'Nullable(String)') as batch_id,
    cast(null, 'Nullable(String)') as product_id
from updates
