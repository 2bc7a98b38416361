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
    tenant_id,
    assumeNotNull(ticketed_event_id) as ticketed_event_id,
    day,
    countIf(fact = 'page_view') as page_views,
    countIf(fact = 'click') as clicks,
    uniqExactState(visitor_key) as visitors_state,
    countIf(fact = 'registration') as registrations,
    countIf(fact = 'ticket_purchase') as orders,
    sumIf(facts.tickets, fact = 'ticket_purchase') as tickets
from facts
group by
    tenant_id,
    ticketed_event_id,
    day
