{{
    config(
        materialized='table',
        order_by=['tenant_id', 'warehouse_id', 'valid_from'],
        tags=['hourly'],
    )
}}

with
changes as (
    select * from {{ ref('int_pocm__warehouses_changed') }}
),

-- Of changes at the same moment the last by event id holds.
states as (
    select *
    from changes
    order by
        changed_at desc,
        event_id desc
    limit 1 by (tenant_id, warehouse_id, changed_at)
),

compared as (
    select
        *,
        (warehouse_name, region, city) as attributes,
        lagInFrame(attributes) over warehouse_history as attributes_before,
        row_number() over warehouse_history as change_number
    from states
    window warehouse_history as (
        partition by tenant_id, warehouse_id
        order by changed_at
        rows between unbounded preceding and current row
    )
),

versions as (
    select *
    from compared
    where change_number = 1 or toString(attributes) != toString(attributes_before)
)

select
    tenant_id,
    warehouse_id,
    changed_at as valid_from,
    warehouse_name,
    region,
    city,
    leadInFrame(toNullable(changed_at)) over warehouse_versions as valid_to,
    toBool(valid_to is null) as is_current
from versions
window warehouse_versions as (
    partition by tenant_id, warehouse_id
    order by changed_at
    rows between unbounded preceding and unbounded following
)
