{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'user_key', 'day', 'currency'],
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
        and user_key is not null
),

conversions as (
    select * from {{ ref('bilten__fact_conversions') }}
    where
        {{ is_touched('conversion_date') }}
        and not is_bot
        and user_key is not null
),

facts as (
    select
        tenant_id,
        user_key,
        session_date as day,
        currency,
        'session' as fact,
        duration_ms,
        toUInt64(0) as tickets,
        toDecimal64(0, 4) as amount
    from sessions
    union all
    select
        tenant_id,
        user_key,
        conversion_date as day,
        currency,
        event_name as fact,
        toInt64(0) as duration_ms,
        tickets,
        amount
    from conversions
    where event_name in ('registration', 'ticket_purchase')
)

select
    facts.tenant_id,
    facts.day,
    facts.currency,
    cast(sumIf(facts.amount, facts.fact = 'ticket_purchase'), 'Decimal(18, 4)') as spent,
    assumeNotNull(user_key) as user_key,
    countIf(facts.fact = 'session') as sessions,
    sum(facts.duration_ms) as session_ms,
    countIf(facts.fact = 'registration') as registrations,
    countIf(facts.fact = 'ticket_purchase') as orders,
    sumIf(facts.tickets, facts.fact = 'ticket_purchase') as tickets
from facts
group by
    facts.tenant_id,
    user_key,
    facts.day,
    facts.currency
