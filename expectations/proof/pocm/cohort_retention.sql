with
seen as (
    select tenant_id, cohort_week, week as activity_week, count(distinct user_key) as users
    from cohort_ledger
    where order_id is not null
    group by all
)

select
    tenant_id,
    cohort_week,
    (activity_week - cohort_week) // 7 as week_number,
    activity_week,
    cohort_users,
    coalesce(users, 0) as retained_users,
    ratio(coalesce(users, 0), cohort_users) as retention_rate
from cohort_calendar
left join seen using (tenant_id, cohort_week, activity_week)
