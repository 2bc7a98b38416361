with
seen as (
    select
        tenant_id,
        ticketed_event_id,
        count(*) filter (event_type = 'page_view') as page_views,
        count(*) filter (event_type = 'click') as clicks,
        count(distinct visitor_key) as visitors,
        max(cast(occurred_at as date)) as seen_on
    from tracked
    where not is_bot and event_type in ('page_view', 'click', 'conversion') and ticketed_event_id is not null
    group by all
),

sold as (
    select
        tenant_id,
        ticketed_event_id,
        count(*) filter (event_name = 'registration') as registrations,
        count(*) filter (event_name = 'ticket_purchase') as orders,
        sum(tickets) filter (event_name = 'ticket_purchase') as tickets
    from conversions
    where ticketed_event_id is not null
    group by all
)

select
    tenant_id,
    ticketed_event_id,
    state['event_name'] as event_name,
    state['category'] as category,
    state['starts_at'] as starts_at,
    state['capacity'] as capacity,
    coalesce(page_views, 0) as page_views,
    coalesce(clicks, 0) as clicks,
    coalesce(visitors, 0) as visitors,
    coalesce(registrations, 0) as registrations,
    coalesce(orders, 0) as orders,
    coalesce(tickets, 0) as tickets,
    ratio(coalesce(registrations, 0), coalesce(page_views, 0)) as registration_rate,
    ratio(coalesce(tickets, 0), state['capacity']) as fill_rate,
    coalesce(seen_on, changed_on) as last_day
from ticketed_events
full join seen using (tenant_id, ticketed_event_id)
left join sold using (tenant_id, ticketed_event_id)
