-- When each session reached each step of the funnel, over everything and per product.
-- A step is reached by its first event at or after the step before it; the search is no condition of the view.
create macro first_from(moments, earliest) as
list_min(list_filter(cast(moments as timestamp[]), lambda t: t >= earliest));

create table session_steps as
with
in_session as (
    select shop_events.*, cast(sessions.started_at as date) as day
    from shop_events
    inner join sessions using (tenant_id, session_id)
),

whole as (
    select
        tenant_id,
        day,
        session_id,
        'all' as scope,
        list(occurred_at) filter (event_type = 'SEARCH') as searched,
        list(occurred_at) filter (event_type = 'PRODUCT_VIEWED') as viewed,
        list(occurred_at) filter (event_type = 'CART_ITEM_ADDED') as added,
        list(occurred_at) filter (event_type = 'CHECKOUT_STARTED') as checked_out,
        list(occurred_at) filter (event_type = 'PAYMENT_CAPTURED') as paid
    from in_session
    group by all
),

by_product as (
    select
        tenant_id,
        day,
        session_id,
        product_id as scope,
        list(occurred_at) filter (event_type = 'SEARCH_RESULT_CLICKED') as searched,
        list(occurred_at) filter (event_type = 'PRODUCT_VIEWED') as viewed,
        list(occurred_at) filter (event_type = 'CART_ITEM_ADDED') as added
    from in_session
    where event_type in ('SEARCH_RESULT_CLICKED', 'PRODUCT_VIEWED', 'CART_ITEM_ADDED')
    group by all
),

moments as (
    select * from whole
    union all by name
    select by_product.*, whole.checked_out, whole.paid
    from by_product
    inner join whole using (tenant_id, day, session_id)
),

searches as (
    select *, list_min(searched) as at_search, list_min(viewed) as at_view
    from moments
),

carts as (
    select *, first_from(viewed, at_search) as at_view_after_search, first_from(added, at_view) as at_cart
    from searches
),

checkouts as (
    select *, first_from(checked_out, at_cart) as at_checkout
    from carts
),

payments as (
    select *, first_from(paid, at_checkout) as at_payment
    from checkouts
)

select
    tenant_id,
    day,
    scope,
    unnest([1, 2, 3, 4, 5]) as step_number,
    unnest([at_search, at_view, at_cart, at_checkout, at_payment]) as reached_at,
    unnest([at_view_after_search, at_cart, at_checkout, at_payment, null]) as next_at
from payments;
