{{
    config(
        materialized='view',
        tags=['hourly'],
    )
}}

with
span as (
    select
        min(event_date) as first_day,
        max(event_date) as last_day
    from {{ ref('bilten__fact_events') }}
    having count() > 0
),

hours as (
    select
        arrayJoin(
            arrayMap(
                n -> toDateTime(first_day, 'UTC') + toIntervalHour(n), range(toUInt32(24 * (last_day - first_day + 1)))
            )
        ) as hour
    from span
)

select
    hour,
    toDate(hour) as day,
    toHour(hour) as hour_of_day,
    toDayOfWeek(hour) as weekday,
    arrayElement(
        ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'], toDayOfWeek(hour)
    ) as weekday_name,
    toBool(toDayOfWeek(hour) >= 6) as is_weekend,
    toMonday(hour) as week,
    toISOYear(hour) as iso_year,
    toISOWeek(hour) as iso_week,
    toStartOfMonth(hour) as month,
    toStartOfQuarter(hour) as quarter,
    toYear(hour) as year
from hours
