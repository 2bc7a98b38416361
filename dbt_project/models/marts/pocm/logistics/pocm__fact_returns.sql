{{
    config(
        materialized='partition_replace',
        date_column='return_date',
        order_by=['tenant_id', 'returned_at', 'order_id', 'event_id'],
        touched_by=['order'],
        linked_by=['order'],
        tags=['hourly'],
    )
}}

with
returned as (
    select * from {{ ref('stg_pocm__returns') }}
    where {{ is_touched_event() }}
),

orders as (
    select
        tenant_id,
        order_id,
        toNullable(placed_at) as placed_at,
        toNullable(currency) as currency
    from {{ ref('pocm__fact_orders') }}
    where {{ is_linked('order_date') }}
),

shipments as (
    select * from {{ ref('int_pocm__shipment_events_unioned') }}
    where
        {{ is_linked('occurred_date') }}
        and event_type = 'SHIPMENT_CREATED'
),

destinations as (
    select
        tenant_id,
        order_id,
        argMin(region, (occurred_at, event_id)) as region,
        argMin(city, (occurred_at, event_id)) as city
    from shipments
    group by
        tenant_id,
        order_id
)

select
    -- A column that three joined relations share is named with its relation by ClickHouse, unless it has an alias.
    returned.tenant_id as tenant_id,  -- noqa: AL09
    returned.order_id as order_id,  -- noqa: AL09
    returned.event_id,
    returned.occurred_date as return_date,
    returned.occurred_at as returned_at,
    returned.product_id,
    returned.quantity,
    returned.reason,
    returned.user_key,
    returned.received_at,
    orders.placed_at as placed_at,  -- noqa: AL09
    coalesce(orders.currency, 'XXX') as currency,
    coalesce(destinations.region, 'unknown') as region,
    coalesce(destinations.city, 'unknown') as city
from returned
left join orders on returned.tenant_id = orders.tenant_id and returned.order_id = orders.order_id
left join destinations
    on returned.tenant_id = destinations.tenant_id and returned.order_id = destinations.order_id
