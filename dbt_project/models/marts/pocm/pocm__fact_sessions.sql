{{
    config(
        materialized='partition_replace',
        date_column='session_date',
        order_by=['tenant_id', 'started_at', 'session_id'],
        touched_by=['session'],
        linked_by=['session'],
        tags=['hourly'],
    )
}}

with
events as (
    select * from {{ ref('int_pocm__session_events_unioned') }}
    where {{ is_linked_event() }}
),

gathered as (
    select
        tenant_id,
        session_id,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at,
        count() as events,
        argMinIf(user_key, (occurred_at, event_id), user_key is not null) as user_key,
        argMinIf(channel, (occurred_at, event_id), channel is not null) as channel,
        argMinIf(currency, (occurred_at, event_id), currency is not null) as named_currency,
        groupArrayIf(occurred_at, event_type = 'SEARCH') as searches,
        groupArrayIf(occurred_at, event_type = 'PRODUCT_VIEWED') as views,
        groupArrayIf(occurred_at, event_type = 'CART_ITEM_ADDED') as additions,
        groupArrayIf(occurred_at, event_type = 'CHECKOUT_STARTED') as checkouts,
        groupArrayIf(occurred_at, event_type = 'PAYMENT_CAPTURED') as captures
    from events
    group by
        tenant_id,
        session_id
),

timed as (
    select
        *,
        {{ pocm_funnel_times() }}
    from gathered
)

select
    timed.tenant_id,
    timed.started_at,
    timed.ended_at,
    timed.events,
    timed.user_key,
    timed.channel,
    timed.searched_at,
    timed.viewed_at,
    timed.viewed_after_search_at,
    timed.added_to_cart_at,
    timed.checked_out_at,
    timed.paid_at,
    assumeNotNull(timed.session_id) as session_id,
    toDate(timed.started_at) as session_date,
    dateDiff('millisecond', timed.started_at, timed.ended_at) as duration_ms,
    coalesce(timed.named_currency, 'XXX') as currency,
    multiIf(
        timed.paid_at is not null, 5,
        timed.checked_out_at is not null, 4,
        timed.added_to_cart_at is not null, 3,
        timed.viewed_at is not null, 2,
        timed.searched_at is not null, 1,
        0
    ) as reached_step_number,
    transform(
        reached_step_number,
        [0, 1, 2, 3, 4, 5],
        ['none', 'search', 'product_view', 'add_to_cart', 'checkout', 'payment'],
        'none'
    ) as reached_step,
    toBool(notEmpty(timed.captures)) as is_converted
from timed
