{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'day'],
        tags=['hourly'],
    )
}}

with
hours as (
    select * from {{ ref('int_studyin__analytics_hours') }}
    where
        {{ is_touched('toDate(hour)') }}
        and learning_events > 0
)

select
    hours.tenant_id,
    toDate(hours.hour) as day,
    uniqExactMerge(hours.users_state) as active_users,
    uniqExactMergeState(hours.users_state) as users_state
from hours
group by
    hours.tenant_id,
    day
