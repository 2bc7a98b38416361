{{
    config(
        materialized='partition_replace',
        date_column='event_date',
        order_by=['tenant_id', 'occurred_at', 'event_id'],
        touched_by=['visit'],
        linked_by=['visit'],
        tags=['hourly'],
    )
}}

with
events as (
    select
        *,
        coalesce(visitor_id, device_id, user_key, ip) as visitor_key
    from {{ ref('stg_bilten__tracked_events') }}
    where {{ is_linked_event() }}
),

silent as (
    select
        tenant_id,
        occurred_date,
        occurred_at,
        event_id,
        assumeNotNull(visitor_key) as visitor_key
    from events
    where
        session_id is null
        and visitor_key is not null
),

compared as (
    select
        *,
        lagInFrame(toNullable(occurred_at)) over day_so_far as occurred_before,
        occurred_before is null or dateDiff('millisecond', occurred_before, occurred_at) >= 1800000 as is_after_silence
    from silent
    window day_so_far as (
        partition by tenant_id, visitor_key, occurred_date
        order by occurred_at, event_id
        rows between unbounded preceding and current row
    )
),

numbered as (
    select
        *,
        sum(is_after_silence) over day_so_far as span_number
    from compared
    window day_so_far as (
        partition by tenant_id, visitor_key, occurred_date
        order by occurred_at, event_id
        rows between unbounded preceding and current row
    )
),

-- What a visitor did on one day without half an hour of silence.
spans as (
    select
        tenant_id,
        visitor_key,
        occurred_date,
        span_number,
        min(occurred_at) as span_started_at,
        max(occurred_at) as span_ended_at
    from numbered
    group by
        tenant_id,
        visitor_key,
        occurred_date,
        span_number
),

followed as (
    select
        *,
        lagInFrame(toNullable(span_started_at)) over visitor_history as before_started_at,
        lagInFrame(toNullable(span_ended_at)) over visitor_history as before_ended_at
    from spans
    window visitor_history as (
        partition by tenant_id, visitor_key
        order by span_started_at
        rows between unbounded preceding and current row
    )
),

-- Only what lies between two noons is tied together: what a late event changes ends there.
visits as (
    select
        tenant_id,
        span_started_at,
        toNullable(visitor_key) as visitor_key,
        coalesce(
            toDate(before_ended_at) != occurred_date
            and dateDiff('millisecond', before_ended_at, span_started_at) < 1800000
            and toHour(before_started_at) >= 12
            and toHour(span_ended_at) < 12,
            false
        ) as is_over_midnight,
        if(is_over_midnight, assumeNotNull(before_started_at), span_started_at) as session_started_at
    from followed
)

select
    events.tenant_id as tenant_id,  -- noqa: AL09
    events.event_id,
    events.occurred_date as event_date,
    events.occurred_at,
    toStartOfHour(events.occurred_at) as event_hour,
    events.event_type,
    events.event_name,
    multiIf(
        events.session_id is not null, events.session_id,
        events.visitor_key is null, null,
        {{
            bilten_silent_session_id(
                'events.tenant_id', 'assumeNotNull(events.visitor_key)', 'visits.session_started_at'
            )
        }}
    ) as session_id,
    toBool(events.session_id is not null) as has_producer_session,
    events.visitor_key as visitor_key,  -- noqa: AL09
    events.user_key,
    events.ticketed_event_id,
    events.campaign_id,
    events.channel,
    events.page,
    nullIf(domain(events.referrer), '') as referrer_domain,
    events.device_type,
    events.browser,
    toBool(coalesce(events.is_bot, false)) as is_bot,
    events.country,
    events.city,
    events.language,
    events.order_id,
    events.tickets,
    events.amount,
    events.currency,
    events.experiment,
    events.variant,
    events.received_at
from events
asof left join visits
    on
        events.tenant_id = visits.tenant_id
        and events.visitor_key = visits.visitor_key
        and events.occurred_at >= visits.span_started_at
