{{
    config(
        materialized='partition_replace',
        date_column='conversion_date',
        order_by=['tenant_id', 'converted_at', 'event_id'],
        touched_by=['order', 'session', 'visit'],
        linked_by=['order', 'session', 'visit'],
        tags=['hourly'],
    )
}}

with
conversions as (
    select
        *,
        assumeNotNull(event_name) as conversion_name,
        if(order_id is null, concat('event ', event_id), concat('order ', order_id)) as reported
    from {{ ref('bilten__fact_events') }}
    where
        {{ is_linked('event_date') }}
        and event_type = 'conversion'
),

-- What a program reports stands back where a person's browser reports the same order.
counted as (
    select *
    from conversions
    order by
        is_bot asc,
        occurred_at asc,
        event_id asc
    limit 1 by (tenant_id, conversion_name, reported)
),

sessions as (
    select
        tenant_id,
        campaign_id,
        toNullable(session_id) as session_id
    from {{ ref('bilten__fact_sessions') }}
    where
        {{ is_linked('session_date') }}
        and campaign_id is not null
)

select
    counted.tenant_id as tenant_id,  -- noqa: AL09
    counted.event_id,
    counted.event_date as conversion_date,
    counted.occurred_at as converted_at,
    counted.conversion_name as event_name,
    counted.session_id as session_id,  -- noqa: AL09
    counted.visitor_key,
    counted.user_key,
    counted.ticketed_event_id,
    counted.channel,
    counted.country,
    counted.city,
    counted.order_id,
    counted.is_bot,
    counted.received_at,
    coalesce(counted.campaign_id, sessions.campaign_id) as campaign_id,
    toUInt64(coalesce(counted.tickets, 0)) as tickets,
    coalesce(counted.amount, toDecimal64(0, 4)) as amount,
    coalesce(counted.currency, 'XXX') as currency
from counted
left any join sessions on counted.tenant_id = sessions.tenant_id and counted.session_id = sessions.session_id
