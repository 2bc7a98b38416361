{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='created_date',
        order_by=['tenant_id', 'cart_id'],
        touched_by=['cart'],
        linked_by=['cart'],
        tags=['hourly'],
    )
}}

with
carts as (
    select * from {{ ref('stg_pocm__carts') }}
    where {{ is_linked_event() }}
),

cart_items as (
    select * from {{ ref('stg_pocm__cart_items') }}
    where {{ is_linked_event() }}
),

checkouts as (
    select * from {{ ref('stg_pocm__checkouts') }}
    where {{ is_linked_event() }}
),

orders as (
    select
        placed.tenant_id,
        placed.occurred_at,
        placed.event_id,
        placed.currency,
        assumeNotNull(placed.cart_id) as cart_id
    from {{ ref('stg_pocm__orders') }} as placed
    where
        {{ is_linked_event() }}
        and placed.cart_id is not null
),

created as (
    select
        tenant_id,
        cart_id,
        min(occurred_at) as created_at,
        argMin(session_id, (occurred_at, event_id)) as session_id,
        argMin(user_key, (occurred_at, event_id)) as user_key
    from carts
    group by
        tenant_id,
        cart_id
),

namings as (
    select
        tenant_id,
        cart_id,
        occurred_at,
        event_id,
        assumeNotNull(currency) as named_currency
    from carts
    where currency is not null
    union all
    select
        tenant_id,
        cart_id,
        occurred_at,
        event_id,
        currency as named_currency
    from cart_items
    union all
    select
        tenant_id,
        cart_id,
        occurred_at,
        event_id,
        currency as named_currency
    from checkouts
    union all
    select
        tenant_id,
        cart_id,
        occurred_at,
        event_id,
        currency as named_currency
    from orders
),

currencies as (
    select
        tenant_id,
        cart_id,
        argMin(named_currency, (occurred_at, event_id)) as currency
    from namings
    group by
        tenant_id,
        cart_id
),

placements as (
    select
        tenant_id,
        cart_id,
        arraySort(groupArray(occurred_at)) as ordered
    from orders
    group by
        tenant_id,
        cart_id
),

followed as (
    select
        -- A column that three joined relations share is named with its relation by ClickHouse, unless it has an alias.
        created.tenant_id as tenant_id,  -- noqa: AL09
        created.cart_id as cart_id,  -- noqa: AL09
        created.created_at,
        created.session_id,
        created.user_key,
        currencies.currency as named_currency,
        placements.ordered
    from created
    left join currencies on created.tenant_id = currencies.tenant_id and created.cart_id = currencies.cart_id
    left join placements on created.tenant_id = placements.tenant_id and created.cart_id = placements.cart_id
)

select
    tenant_id,
    cart_id,
    created_at,
    session_id,
    user_key,
    toDate(created_at) as created_date,
    if(named_currency = '', 'XXX', named_currency) as currency,
    arrayFirstOrNull(moment -> moment >= created_at, ordered) as ordered_at,
    toBool(
        not arrayExists(
            moment -> moment >= created_at and moment <= created_at + interval 72 hour,
            ordered
        )
    ) as is_abandoned
from followed
