-- Everything that counts in a period, under its currency; then the figures of a period.
create macro moments() as table
select 'session' as what, tenant_id, started_at as moment, currency, country, city, is_converted as flag, duration_ms,
    null::bigint as tickets, null::decimal(18, 4) as amount
from sessions
where not is_bot
union all by name
select event_type as what, tenant_id, occurred_at as moment, 'XXX' as currency,
    coalesce(country, 'unknown') as country, coalesce(city, 'unknown') as city
from tracked
where not is_bot and event_type in ('page_view', 'click')
union all by name
select event_name as what, tenant_id, occurred_at as moment, currency, country, city, tickets, amount
from conversions
where event_name in ('registration', 'ticket_purchase');

create macro period_users(unit) as table
select
    tenant_id,
    date_trunc(unit, occurred_at) as period,
    user_key,
    coalesce(arg_min(currency, row(occurred_at, event_id)) filter (currency is not null), 'XXX') as currency
from tracked
where not is_bot and user_key is not null
group by all;

create macro kpi(unit) as table
with
facts as (
    select *, date_trunc(unit, moment) as period, null as user_key from moments()
    union all by name
    select 'user' as what, tenant_id, period, currency, user_key from period_users(unit)
),

counted as (
    select
        tenant_id,
        period,
        currency,
        count(*) filter (what = 'user') as users,
        count(*) filter (what = 'session') as sessions,
        count(*) filter (what = 'session' and flag) as converted_sessions,
        coalesce(sum(duration_ms) filter (what = 'session'), 0) as session_ms,
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
from counted;
