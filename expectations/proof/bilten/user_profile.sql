with
own as (
    select * from tracked where not is_bot and user_key is not null
),

activity as (
    select
        tenant_id,
        user_key,
        min(occurred_at) as first_seen_at,
        max(occurred_at) as last_seen_at,
        list_sort(coalesce(list(distinct device_type) filter (device_type is not null), [])) as device_types,
        list_sort(coalesce(list(distinct browser) filter (browser is not null), [])) as browsers,
        count(*) filter (event_type = 'page_view') as page_views,
        count(distinct ticketed_event_id) filter (event_type = 'page_view') as ticketed_events_viewed,
        list(extract(hour from occurred_at)) as hours,
        list(extract(isodow from occurred_at)) as weekdays
    from own
    group by all
),

visits as (
    select tenant_id, user_key, count(*) as sessions, sum(duration_ms) as session_ms
    from sessions
    where not is_bot and user_key is not null
    group by all
),

registered as (
    select tenant_id, user_key, count(*) as registrations
    from conversions
    where event_name = 'registration' and user_key is not null
    group by all
),

bought as (
    select tenant_id, user_key, currency, count(*) as orders, sum(tickets) as tickets, sum(amount) as spent
    from conversions
    where event_name = 'ticket_purchase' and user_key is not null
    group by all
),

liked as (
    select own.tenant_id, own.user_key, ticketed_events.state['category'] as category, count(*) as times
    from own
    inner join ticketed_events using (tenant_id, ticketed_event_id)
    where own.event_type in ('page_view', 'click', 'conversion')
    group by all
),

preferred as (
    select tenant_id, user_key, list(category order by times desc, category)[:3] as preferred_categories
    from liked
    group by all
)

select
    tenant_id,
    user_key,
    coalesce(bought.currency, 'XXX') as currency,
    coalesce(sessions, 0) as sessions,
    coalesce(session_ms, 0) as session_ms,
    ratio(session_ms / 1000, sessions) as average_session_seconds,
    first_seen_at,
    last_seen_at,
    cast(last_seen_at as date) as last_seen_on,
    device_types,
    browsers,
    page_views,
    ticketed_events_viewed,
    coalesce(registrations, 0) as registrations,
    coalesce(orders, 0) as orders,
    coalesce(tickets, 0) as tickets,
    coalesce(spent, 0) as spent,
    money_per(spent, orders) as average_order_value,
    coalesce(preferred_categories, []) as preferred_categories,
    list_transform(range(24), lambda h: cast(len(list_filter(hours, lambda x: x = h)) as ubigint)) as activity_by_hour,
    list_transform(range(1, 8), lambda d: cast(len(list_filter(weekdays, lambda x: x = d)) as ubigint))
        as activity_by_weekday
from activity
left join visits using (tenant_id, user_key)
left join registered using (tenant_id, user_key)
left join bought using (tenant_id, user_key)
left join preferred using (tenant_id, user_key)
