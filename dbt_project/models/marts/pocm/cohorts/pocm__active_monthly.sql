{{
    config(
        materialized='partition_replace',
        date_column='month',
        partition='month',
        order_by=['tenant_id', 'month'],
        touched_query='touched_months',
        tags=['monthly'],
    )
}}

with
days as (
    select * from {{ ref('int_pocm__actives_daily') }}
    where {{ is_touched('day') }}
)

select
    tenant_id,
    toStartOfMonth(day) as month,
    uniqExactMerge(users_state) as users,
    uniqExactMerge(devices_state) as devices,
    uniqExactMerge(sessions_state) as sessions
from days
group by
    tenant_id,
    month
