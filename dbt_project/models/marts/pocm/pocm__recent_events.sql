{{
    config(
        materialized='table',
        order_by=['event_type', 'occurred_at', 'event_id'],
        tags=['hourly'],
    )
}}

with
counts as (
    select
        event_type,
        day,
        sum(events) as events_of_day
    from {{ ref('int_pocm__events_counted') }}
    group by
        event_type,
        day
),

-- The newest days that hold a thousand events of a type; nothing older is read.
newest_days as (
    select
        event_type,
        day
    from (
        select
            event_type,
            day,
            sum(events_of_day) over (
                partition by event_type
                order by day desc
                rows between unbounded preceding and current row
            ) - events_of_day as newer_events
        from counts
    )
    where newer_events < 1000
),

events as (
    select *
    from {{ ref('stg_pocm__events') }}
    where
        (event_type, occurred_date) in (
            select
                newest_days.event_type,
                newest_days.day
            from newest_days
        )
        and received_hour in (
            {{ received_hours_of('select day from newest_days') }}
        )
)

select
    tenant_id,
    event_type,
    event_id,
    occurred_at,
    received_at,
    user_key,
    session_id,
    device_id,
    order_id,
    trace_id,
    load_id,
    row_number
from events
order by
    occurred_at desc,
    event_id desc
limit 1000 by event_type
