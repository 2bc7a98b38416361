{{
    config(
        materialized='partition_replace',
        date_column='week',
        partition='week',
        order_by=['tenant_id', 'week'],
        touched_query='touched_weeks',
        tags=['weekly'],
    )
}}

with
days as (
    select * from {{ ref('int_pocm__actives_daily') }}
    where {{ is_touched('day') }}
)

select
    tenant_id,
    toMonday(day) as week,
    uniqExactMerge(users_state) as users,
    uniqExactMerge(devices_state) as devices,
    uniqExactMerge(sessions_state) as sessions
from days
group by
    tenant_id,
    week
