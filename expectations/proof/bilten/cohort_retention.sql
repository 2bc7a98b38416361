with
weeks as (
    select distinct tenant_id, user_key, cast(date_trunc('week', seen_on) as date) as week
    from users_seen
),

members as (
    select *, min(week) over (partition by tenant_id, user_key) as cohort_week from weeks
),

cohorts as (
    select tenant_id, cohort_week, count(distinct user_key) as cohort_users from members group by all
),

calendar as (
    select
        cohorts.*,
        cast(unnest(generate_series(cohort_week, newest.week, interval 7 day)) as date) as activity_week
    from cohorts
    inner join (select tenant_id, max(week) as week from weeks group by all) as newest using (tenant_id)
),

seen as (
    select tenant_id, cohort_week, week as activity_week, count(*) as users from members group by all
)

select
    tenant_id,
    cohort_week,
    (activity_week - cohort_week) // 7 as week_number,
    activity_week,
    cohort_users,
    coalesce(users, 0) as retained_users,
    ratio(coalesce(users, 0), cohort_users) as retention_rate
from calendar
left join seen using (tenant_id, cohort_week, activity_week)
