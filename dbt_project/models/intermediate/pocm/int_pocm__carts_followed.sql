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
cart_events as (
    select * from {{ ref('int_pocm__cart_events_unioned') }}
    where {{ is_linked('occurred_date') }}
),

followed as (
    select
        tenant_id,
        cart_id,
        minIf(toNullable(occurred_at), event_type = 'CART_CREATED') as first_created_at,
        argMinIf(session_id, (occurred_at, event_id), event_type = 'CART_CREATED') as session_id,
        argMinIf(user_key, (occurred_at, event_id), event_type = 'CART_CREATED') as user_key,
        argMinIf(currency, (occurred_at, event_id), currency is not null) as named_currency,
        arraySort(groupArrayIf(occurred_at, event_type = 'ORDER_PLACED')) as ordered
    from cart_events
    group by
        tenant_id,
        cart_id
),

created as (
    select
        *,
        assumeNotNull(first_created_at) as created_at
    from followed
    where first_created_at is not null
)

select
    tenant_id,
    cart_id,
    created_at,
    session_id,
    user_key,
    toDate(created_at) as created_date,
    coalesce(named_currency, 'XXX') as currency,
    arrayFirstOrNull(moment -> moment >= created_at, ordered) as ordered_at,
    toBool(
        not arrayExists(
            moment -> moment >= created_at and moment <= created_at + interval 72 hour,
            ordered
        )
    ) as is_abandoned
from created
