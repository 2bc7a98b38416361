with
visitors as (
    select
        'user' as what,
        tenant_id,
        cast(occurred_at as date) as day,
        coalesce(country, 'unknown') as country,
        coalesce(city, 'unknown') as city,
        user_key,
        coalesce(arg_min(currency, row(occurred_at, event_id)) filter (currency is not null), 'XXX') as currency
    from tracked
    where not is_bot and user_key is not null
    group by all
),

facts as (
    select *, cast(moment as date) as day from moments()
    union all by name
    select * exclude (user_key) from visitors
),

counted as (
    select
        tenant_id,
        day,
        country,
        city,
        currency,
        count(*) filter (what = 'user') as users,
        count(*) filter (what = 'session') as sessions,
        count(*) filter (what = 'session' and flag) as converted_sessions,
        count(*) filter (what = 'page_view') as page_views,
        count(*) filter (what = 'click') as clicks,
        count(*) filter (what = 'registration') as registrations,
        count(*) filter (what = 'ticket_purchase') as orders,
        coalesce(sum(tickets) filter (what = 'ticket_purchase'), 0) as tickets,
        coalesce(sum(amount) filter (what = 'ticket_purchase'), 0) as revenue
    from facts
    group by all
)

select
    *,
    ratio(converted_sessions, sessions) as conversion_rate,
    money_per(revenue, orders) as average_order_value
from counted
