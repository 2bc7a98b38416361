{%- set first_named = [
    'visitor_key', 'user_key', 'channel', 'campaign_id', 'country', 'city', 'device_type', 'browser',
] -%}
{{
    config(
        materialized='partition_replace',
        date_column='session_date',
        order_by=['tenant_id', 'started_at', 'session_id'],
        touched_by=['session', 'visit'],
        linked_by=['session', 'visit'],
        tags=['hourly'],
    )
}}

with
events as (
    select * from {{ ref('bilten__fact_events') }}
    where
        {{ is_linked('event_date') }}
        and session_id is not null
),

gathered as (
    select
        tenant_id,
        assumeNotNull(session_id) as session_id,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at,
        max(has_producer_session) as has_producer_id,
        max(is_bot) as is_bot,
        {%- for column in first_named %}
            argMinIf({{ column }}, (occurred_at, event_id), {{ column }} is not null) as {{ column }},
        {%- endfor %}
        argMinIf(currency, (occurred_at, event_id), currency is not null) as named_currency,
        count() as events,
        countIf(event_type = 'page_view') as page_views,
        countIf(event_type = 'click') as clicks,
        countIf(event_type = 'conversion') as conversions,
        groupArrayIf(occurred_at, event_type = 'page_view') as views,
        groupArrayIf(occurred_at, event_type = 'click') as clicked,
        groupArrayIf(occurred_at, event_type = 'conversion' and coalesce(event_name = 'registration', false))
            as registered,
        groupArrayIf(occurred_at, event_type = 'conversion' and coalesce(event_name = 'ticket_purchase', false))
            as purchased
    from events
    group by
        tenant_id,
        session_id
),

timed as (
    select
        *,
        {{ bilten_funnel_times() }}
    from gathered
)

select
    timed.tenant_id,
    timed.session_id,
    toDate(timed.started_at) as session_date,
    timed.started_at,
    timed.ended_at,
    dateDiff('millisecond', timed.started_at, timed.ended_at) as duration_ms,
    toBool(timed.has_producer_id) as has_producer_id,
    {%- for column in first_named %}
        timed.{{ column }},
    {%- endfor %}
    toBool(timed.is_bot) as is_bot,
    coalesce(timed.named_currency, 'XXX') as currency,
    timed.events,
    timed.page_views,
    timed.clicks,
    timed.conversions,
    timed.viewed_at,
    timed.clicked_at,
    timed.registered_at,
    timed.purchased_at,
    multiIf(
        timed.purchased_at is not null, 4,
        timed.registered_at is not null, 3,
        timed.clicked_at is not null, 2,
        timed.viewed_at is not null, 1,
        0
    ) as reached_step_number,
    toBool(timed.conversions > 0) as is_converted
from timed
