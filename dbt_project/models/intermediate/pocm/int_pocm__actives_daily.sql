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
    select * from {{ ref('stg_pocm__events') }}
    where {{ is_touched_event() }}
)

select
    tenant_id,
    occurred_date as day,
    uniqExact(user_key) as users,
    uniqExact(device_id) as devices,
    uniqExact(session_id) as sessions,
    uniqExactState(user_key) as users_state,
    uniqExactState(device_id) as devices_state,
    uniqExactState(session_id) as sessions_state
from events
group by
    tenant_id,
    occurred_date
