-- Every day between a tenant's first and last with a user, and who was seen on it or shortly before.
with
days as (
    select tenant_id, cast(unnest(generate_series(min(seen_on), max(seen_on), interval 1 day)) as date) as day
    from users_seen
    group by tenant_id
)

select
    days.tenant_id,
    days.day,
    count(distinct users_seen.user_key) filter (users_seen.seen_on = days.day) as dau,
    count(distinct users_seen.user_key) filter (users_seen.seen_on > days.day - 7) as wau,
    count(distinct users_seen.user_key) as mau
from days
left join users_seen
    on days.tenant_id = users_seen.tenant_id and users_seen.seen_on between days.day - 29 and days.day
group by days.tenant_id, days.day
