{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'ticketed_event_id', 'day'],
        touched_by=['order'],
        tags=['daily'],
    )
}}

with
events as (
    select * from {{ ref('bilten__fact_events') }}
    where
        {{ is_touched('event_date') }}
        and not is_bot
        and ticketed_event_id is not null
        and event_type in ('page_view', 'click', 'conversion')
),

conversions as (
    select * from {{ ref('bilten__fact_conversions') }}
    where
        {{ is_touched('conversion_date') }}
        and not is_bot
        and ticketed_event_id is not null
        and event_name in ('registration', 'ticket_purchase')
),

facts as (
    select
        tenant_id,
        ticketed_event_id,
        event_date as day,
        event_type as fact,
        visitor_key,
        toUInt64(0) as tickets
    from events
    union all
    select
        tenant_id,
        ticketed_event_id,
        conversion_date as day,
        event_name as fact,
        cast(null, 'Nullable(String)') as visitor_key,
        tickets
    from conversions
)

select
    facts.tenant_id,
    facts.day,
    assumeNotNull(ticketed_event_id) as ticketed_event_id,
    countIf(facts.fact = 'page_view') as page_views,
    countIf(facts.fact = 'click') as clicks,
    uniqExactState(facts.visitor_key) as visitors_state,
    countIf(facts.fact = 'registration') as registrations,
    countIf(facts.fact = 'ticket_purchase') as orders,
    sumIf(facts.tickets, facts.fact = 'ticket_purchase') as tickets
from facts
group by
    facts.tenant_id,
    ticketed_event_id,
    facts.day
