{{
    config(
        materialized='partition_replace',
        date_column='day',
        order_by=['tenant_id', 'day', 'scope', 'step_number'],
        touched_by=['session'],
        linked_by=['session'],
        tags=['daily'],
    )
}}

with
sessions as (
    select * from {{ ref('pocm__fact_sessions') }}
    where {{ is_touched('session_date') }}
),

events as (
    select * from {{ ref('int_pocm__session_events_unioned') }}
    where {{ is_linked_event() }}
),

later_steps as (
    select
        tenant_id,
        session_id,
        groupArrayIf(occurred_at, event_type = 'CHECKOUT_STARTED') as checkouts,
        groupArrayIf(occurred_at, event_type = 'PAYMENT_CAPTURED') as captures
    from events
    where event_type in ('CHECKOUT_STARTED', 'PAYMENT_CAPTURED')
    group by
        tenant_id,
        session_id
),

product_steps as (
    select
        tenant_id,
        session_id,
        assumeNotNull(product_id) as scope,
        groupArrayIf(occurred_at, event_type = 'SEARCH_RESULT_CLICKED') as searches,
        groupArrayIf(occurred_at, event_type = 'PRODUCT_VIEWED') as views,
        groupArrayIf(occurred_at, event_type = 'CART_ITEM_ADDED') as additions
    from events
    where event_type in ('SEARCH_RESULT_CLICKED', 'PRODUCT_VIEWED', 'CART_ITEM_ADDED')
    group by
        tenant_id,
        session_id,
        product_id
),

product_arrays as (
    select
        -- A column that three joined relations share is named with its relation by ClickHouse, unless it has an alias.
        sessions.tenant_id as tenant_id,  -- noqa: AL09
        sessions.session_date as day,
        product_steps.scope,
        product_steps.searches,
        product_steps.views,
        product_steps.additions,
        later_steps.checkouts,
        later_steps.captures
    from product_steps
    inner join sessions
        on product_steps.tenant_id = sessions.tenant_id and product_steps.session_id = sessions.session_id
    left join later_steps
        on product_steps.tenant_id = later_steps.tenant_id and product_steps.session_id = later_steps.session_id
),

product_times as (
    select
        tenant_id,
        day,
        scope,
        {{ pocm_funnel_times() }}
    from product_arrays
),

times as (
    select
        tenant_id,
        session_date as day,
        'all' as scope,
        searched_at,
        viewed_at,
        viewed_after_search_at,
        added_to_cart_at,
        checked_out_at,
        paid_at
    from sessions
    union all
    select
        tenant_id,
        day,
        scope,
        searched_at,
        viewed_at,
        viewed_after_search_at,
        added_to_cart_at,
        checked_out_at,
        paid_at
    from product_times
),

{{
    funnel_steps('times', [
        ('search', 'searched_at', 'viewed_after_search_at'),
        ('product_view', 'viewed_at', 'added_to_cart_at'),
        ('add_to_cart', 'added_to_cart_at', 'checked_out_at'),
        ('checkout', 'checked_out_at', 'paid_at'),
        ('payment', 'paid_at', none),
    ])
}}
