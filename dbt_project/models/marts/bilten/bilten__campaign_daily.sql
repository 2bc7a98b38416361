{{
    config(
        materialized='partition_replace',
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'day', 'campaign_id', 'currency'],
        touched_by=['session', 'visit', 'order'],
        tags=['daily'],
    )
}}

with
sessions as (
    select * from {{ ref('bilten__fact_sessions') }}
    where
        {{ is_touched('session_date') }}
        and not is_bot
        and campaign_id is not null
),

conversions as (
    select * from {{ ref('bilten__fact_conversions') }}
    where
        {{ is_touched('conversion_date') }}
        and not is_bot
        and campaign_id is not null
),

facts as (
    select
        tenant_id,
        session_date as day,
        assumeNotNull(campaign_id) as campaign_id,
        currency,
        if(is_converted, 'converted session', 'session') as fact,
        page_views,
        clicks,
        toUInt64(0) as tickets,
        toDecimal64(0, 4) as amount
    from sessions
    union all
    select
        tenant_id,
        conversion_date as day,
        assumeNotNull(campaign_id) as campaign_id,
        currency,
        event_name as fact,
        toUInt64(0) as page_views,
        toUInt64(0) as clicks,
        tickets,
        amount
    from conversions
    where event_name in ('registration', 'ticket_purchase')
),

counted as (
    select
        facts.tenant_id,
        facts.day,
        facts.campaign_id,
        facts.currency,
        cast(sumIf(facts.amount, facts.fact = 'ticket_purchase'), 'Decimal(18, 4)') as revenue,
        countIf(facts.fact in ('session', 'converted session')) as sessions,
        countIf(facts.fact = 'converted session') as converted_sessions,
        sum(facts.page_views) as page_views,
        sum(facts.clicks) as clicks,
        countIf(facts.fact = 'registration') as registrations,
        countIf(facts.fact = 'ticket_purchase') as orders,
        sumIf(facts.tickets, facts.fact = 'ticket_purchase') as tickets
    from facts
    group by
        facts.tenant_id,
        facts.day,
        facts.campaign_id,
        facts.currency
)

select
    tenant_id,
    day,
    campaign_id,
    currency,
    sessions,
    converted_sessions,
    page_views,
    clicks,
    registrations,
    orders,
    tickets,
    revenue,
    {{ ratio('clicks', 'page_views') }} as click_rate,
    {{ ratio('converted_sessions', 'sessions') }} as conversion_rate,
    {{ money_per('revenue', 'orders') }} as average_order_value
from counted
