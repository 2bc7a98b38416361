-- Which session an event belongs to, and the sessions.
-- Without a producer's id a session is a visitor's run of events less than 30 minutes apart. A run is cut at every
-- midnight except where its part of the day before began in the afternoon and its part of the day after ended in the
-- morning.
create table placed as
with
silent as (
    select
        *,
        occurred_at - lag(occurred_at) over visits >= interval 30 minutes as was_silent
    from tracked
    where producer_session is null and visitor_key is not null
    window visits as (partition by tenant_id, visitor_key order by occurred_at, event_id)
),

runs as (
    select
        *,
        count(*) filter (was_silent) over (
            partition by tenant_id, visitor_key order by occurred_at, event_id rows unbounded preceding
        ) as run
    from silent
),

parts as (
    select
        tenant_id,
        visitor_key,
        run,
        cast(occurred_at as date) as day,
        min(occurred_at) as began,
        max(occurred_at) as ended
    from runs
    group by all
),

judged as (
    select
        *,
        coalesce(
            extract(hour from lag(began) over run_of_days) >= 12 and extract(hour from ended) < 12, false
        ) as goes_on
    from parts
    window run_of_days as (partition by tenant_id, visitor_key, run order by day)
),

visits as (
    select
        *,
        count(*) filter (not goes_on) over (
            partition by tenant_id, visitor_key, run order by day rows unbounded preceding
        ) as visit
    from judged
)

select
    runs.* exclude (was_silent, run),
    'silence ' || runs.visitor_key || ' ' || runs.run || ' ' || visits.visit as session
from runs
inner join visits
    on
        runs.tenant_id = visits.tenant_id
        and runs.visitor_key = visits.visitor_key
        and runs.run = visits.run
        and cast(runs.occurred_at as date) = visits.day
union all by name
select
    *,
    case when producer_session is not null then 'producer ' || producer_session end as session
from tracked
where producer_session is not null or visitor_key is null;

create table sessions as
select
    tenant_id,
    session,
    min(occurred_at) as started_at,
    epoch_ms(max(occurred_at)) - epoch_ms(min(occurred_at)) as duration_ms,
    bool_or(is_bot) as is_bot,
    bool_or(event_type = 'conversion') as is_converted,
    count(*) filter (event_type = 'page_view') as page_views,
    count(*) filter (event_type = 'click') as clicks,
    arg_min(user_key, row(occurred_at, event_id)) filter (user_key is not null) as user_key,
    arg_min(campaign_id, row(occurred_at, event_id)) filter (campaign_id is not null) as campaign_id,
    coalesce(arg_min(country, row(occurred_at, event_id)) filter (country is not null), 'unknown') as country,
    coalesce(arg_min(city, row(occurred_at, event_id)) filter (city is not null), 'unknown') as city,
    coalesce(arg_min(currency, row(occurred_at, event_id)) filter (currency is not null), 'XXX') as currency
from placed
where session is not null
group by tenant_id, session;
