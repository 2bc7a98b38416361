-- Every day between a tenant's first and last with a user, and who was seen on it or shortly before.
with
seen as (
    select distinct tenant_id, user_key, cast(occurred_at as date) as seen_on
    from events
    where user_key is not null
),

days as (
    select tenant_id, cast(unnest(generate_series(min(seen_on), max(seen_on), interval 1 day)) as date) as day
    from seen
    group by tenant_id
)

select
    days.tenant_id,
    days.day,
    count(distinct seen.user_key) filter (seen.seen_on = days.day) as dau,
    count(distinct seen.user_key) filter (seen.seen_on > days.day - 7) as wau,
    count(distinct seen.user_key) as mau
from days
left join seen
    on days.tenant_id = seen.tenant_id and seen.seen_on between days.day - 29 and days.day
group by days.tenant_id, days.day
