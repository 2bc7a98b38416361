with
facts as (
    select 'session' as what, tenant_id, cast(started_at as date) as day, campaign_id, currency, is_converted,
        page_views, clicks
    from sessions
    where not is_bot and campaign_id is not null
    union all by name
    select event_name as what, tenant_id, cast(occurred_at as date) as day, campaign_id, currency, tickets, amount
    from conversions
    where campaign_id is not null and event_name in ('registration', 'ticket_purchase')
),

counted as (
    select
        tenant_id,
        day,
        campaign_id,
        currency,
        count(*) filter (what = 'session') as sessions,
        count(*) filter (what = 'session' and is_converted) as converted_sessions,
        coalesce(sum(page_views), 0) as page_views,
        coalesce(sum(clicks), 0) as clicks,
        count(*) filter (what = 'registration') as registrations,
        count(*) filter (what = 'ticket_purchase') as orders,
        coalesce(sum(tickets) filter (what = 'ticket_purchase'), 0) as tickets,
        coalesce(sum(amount) filter (what = 'ticket_purchase'), 0) as revenue
    from facts
    group by all
)

select
    *,
    ratio(clicks, page_views) as click_rate,
    ratio(converted_sessions, sessions) as conversion_rate,
    money_per(revenue, orders) as average_order_value
from counted
