{{
    config(
        materialized='table',
        order_by=['tenant_id', 'product_id', 'valid_from'],
        tags=['hourly'],
    )
}}

with
changes as (
    select * from {{ ref('int_pocm__products_changed') }}
),

-- Of changes at the same moment the last by event id holds.
states as (
    select *
    from changes
    order by
        changed_at desc,
        event_id desc
    limit 1 by (tenant_id, product_id, changed_at)
),

compared as (
    select
        *,
        (product_name, category, brand, is_patch, unit_cost, list_price, currency, sku) as attributes,
        lagInFrame(attributes) over product_history as attributes_before,
        row_number() over product_history as change_number
    from states
    window product_history as (
        partition by tenant_id, product_id
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
    product_id,
    changed_at as valid_from,
    product_name,
    category,
    brand,
    is_patch,
    unit_cost,
    list_price,
    currency,
    sku,
    leadInFrame(toNullable(changed_at)) over product_versions as valid_to,
    toBool(valid_to is null) as is_current
from versions
window product_versions as (
    partition by tenant_id, product_id
    order by changed_at
    rows between unbounded preceding and unbounded following
)
