{{
    config(
        materialized='exchanged_table',
        order_by=['event_type', 'occurred_at', 'event_id'],
        tags=['hourly'],
    )
}}

{%- set columns = [
    'tenant_id', 'event_type', 'event_id', 'occurred_at', 'received_at', 'user_key', 'session_id', 'device_id', 'order_id',
    'trace_id', 'load_id', 'row_number',
] -%}

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

-- The newest days that hold a thousand events of a type, and how many of each are wanted.
newest_days as (
    select
        event_type,
        day,
        least(events_of_day, 1000 - newer_events) as wanted
    from (
        select
            event_type,
            day,
            events_of_day,
            sum(events_of_day) over (
                partition by event_type
                order by day desc
                rows between unbounded preceding and current row
            ) - events_of_day as newer_events
        from counts
    )
    where newer_events < 1000
),

-- What the table holds already of days that nothing touches.
kept as (
    select
        *,
        toDate(occurred_at) as day
    from {{ this if rebuilds_touched_dates() else ref('stg_pocm__events') }}
    where {{ 'toDate(occurred_at) not in (' ~ touched_dates('pocm') ~ ')' if rebuilds_touched_dates() else 'false' }}
),

kept_days as (
    select
        event_type,
        day,
        count() as events
    from kept
    group by
        event_type,
        day
),

days_to_read as (
    select
        newest_days.event_type,
        newest_days.day
    from newest_days
    left join kept_days on newest_days.event_type = kept_days.event_type and newest_days.day = kept_days.day
    where newest_days.wanted > kept_days.events
),

events as (
    select *
    from {{ ref('stg_pocm__events') }}
    where
        (event_type, occurred_date) in (
            select
                days_to_read.event_type,
                days_to_read.day
            from days_to_read
        )
        and received_hour in (
            {{ received_hours_of('select day from days_to_read') }}
        )
),

candidates as (
    select
        {{ columns | join(',\n        ') }}
    from events
    union all
    select
        {{ columns | join(',\n        ') }}
    from kept
    where
        (event_type, day) not in (
            select
                days_to_read.event_type,
                days_to_read.day
            from days_to_read
        )
)

select
    {{ columns | join(',\n    ') }}
from candidates
order by
    occurred_at desc,
    event_id desc
limit 1000 by event_type
