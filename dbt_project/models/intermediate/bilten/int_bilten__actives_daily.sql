{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='day',
        order_by=['tenant_id', 'day'],
        tags=['daily'],
    )
}}

with
events as (
    select * from {{ ref('bilten__fact_events') }}
    where
        {{ is_touched('event_date') }}
        and not is_bot
)

select
    tenant_id,
    event_date as day,
    uniqExact(user_key) as users,
    uniqExactState(user_key) as users_state
from events
group by
    tenant_id,
    event_date
