{{
    config(
        materialized='view',
        tags=['hourly'],
    )
}}

with
days as (
    select * from {{ ref('int_studyin__activity_days') }}
    where user_key != ''
),

hours as (
    select
        tenant_id,
        user_key,
        day,
        hour_of_day,
        events_of_hour,
        toDayOfWeek(day) as weekday
    from days
    array join
        mapKeys(learning_events_by_hour) as hour_of_day,
        mapValues(learning_events_by_hour) as events_of_hour
)

select
    tenant_id,
    user_key,
    weekday,
    hour_of_day,
    sum(events_of_hour) as learning_events,
    count() as active_hours,
    max(day) as last_active_on
from hours
group by
    tenant_id,
    user_key,
    weekday,
    hour_of_day
