{{
    config(
        materialized='view',
        tags=['daily'],
    )
}}

with
days as (
    select * from {{ ref('int_bilten__ticketed_events_daily') }}
),

changes as (
    select * from {{ ref('int_bilten__ticketed_events_changed') }}
),

states as (
    select * from {{ ref('bilten__dim_events') }}
    where is_current
),

known as (
    select
        tenant_id,
        ticketed_event_id,
        max(changed_date) as last_changed_on
    from changes
    group by
        tenant_id,
        ticketed_event_id
),

counted as (
    select
        days.tenant_id,
        days.ticketed_event_id,
        sum(days.page_views) as page_views,
        sum(days.clicks) as clicks,
        uniqExactMerge(days.visitors_state) as visitors,
        sum(days.registrations) as registrations,
        sum(days.orders) as orders,
        sum(days.tickets) as tickets,
        max(days.day) as last_day
    from days
    group by
        days.tenant_id,
        days.ticketed_event_id
),

named as (
    select
        tenant_id,
        ticketed_event_id
    from known
    union distinct
    select
        tenant_id,
        ticketed_event_id
    from counted
),

described as (
    select
        tenant_id,
        ticketed_event_id,
        toNullable(event_name) as event_name,
        toNullable(category) as category,
        toNullable(starts_at) as starts_at,
        toNullable(capacity) as capacity
    from states
)

select
    named.tenant_id as tenant_id,  -- noqa: AL09
    named.ticketed_event_id as ticketed_event_id,  -- noqa: AL09
    described.event_name,
    described.category,
    described.starts_at,
    described.capacity,
    counted.page_views,
    counted.clicks,
    counted.visitors,
    counted.registrations,
    counted.orders,
    counted.tickets,
    if(counted.last_day = toDate(0), known.last_changed_on, counted.last_day) as last_day,
    {{ ratio('counted.registrations', 'counted.page_views') }} as registration_rate,
    if(coalesce(described.capacity, 0) = 0, null, counted.tickets / described.capacity) as fill_rate
from named
left join counted on named.tenant_id = counted.tenant_id and named.ticketed_event_id = counted.ticketed_event_id
left join described on named.tenant_id = described.tenant_id and named.ticketed_event_id = described.ticketed_event_id
left join known on named.tenant_id = known.tenant_id and named.ticketed_event_id = known.ticketed_event_id
