{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='occurred_date',
        order_by=['tenant_id', 'cart_id', 'occurred_at', 'event_id'],
        tags=['hourly'],
    )
}}

with
events as (
    {{
        events_unioned(
            'cart_id',
            {
                'stg_pocm__carts': ['currency'],
                'stg_pocm__cart_items': ['currency'],
                'stg_pocm__checkouts': ['currency'],
                'stg_pocm__orders': ['currency'],
            },
            {'currency': 'String'},
            also=['session_id', 'user_key'],
            condition=is_touched_event(),
        )
    }}
)

select
    tenant_id,
    event_id,
    event_type,
    occurred_at,
    occurred_date,
    session_id,
    user_key,
    currency,
    assumeNotNull(cart_id) as cart_id
from events
where cart_id is not null
