-- Conversions that are no bot's, each order once under each name: as it was first reported.
create table conversions as
with
counted as (
    select
        *,
        row_number() over (
            partition by tenant_id, event_name, coalesce('order ' || order_id, 'event ' || event_id)
            order by occurred_at, event_id
        ) as report
    from placed
    where event_type = 'conversion' and not is_bot
)

select
    counted.tenant_id,
    counted.event_id,
    counted.occurred_at,
    counted.event_name,
    counted.user_key,
    coalesce(counted.visitor_key, counted.session) as subject,
    counted.ticketed_event_id,
    coalesce(counted.campaign_id, sessions.campaign_id) as campaign_id,
    coalesce(counted.country, 'unknown') as country,
    coalesce(counted.city, 'unknown') as city,
    coalesce(counted.tickets, 0) as tickets,
    coalesce(counted.amount, 0) as amount,
    coalesce(counted.currency, 'XXX') as currency
from counted
left join sessions on counted.tenant_id = sessions.tenant_id and counted.session = sessions.session
where counted.report = 1;
