-- What every known user bought and got back, in weeks since the ISO week of the first order; the user of a refund is
-- whoever placed its order.
create table cohort_ledger as
with
moves as (
    select tenant_id, user_key, order_id, placed_at as moment, currency, amount, cast(0 as decimal(18, 4)) as refunded
    from orders
    where user_key is not null
    union all
    select
        refunds.tenant_id, orders.user_key, null as order_id, refunds.occurred_at as moment, refunds.currency,
        cast(0 as decimal(18, 4)) as amount, refunds.amount as refunded
    from refunds
    inner join orders using (tenant_id, order_id)
    where orders.user_key is not null
),

dated as (
    select
        *,
        cast(date_trunc('week', moment) as date) as week,
        cast(
            date_trunc('week', min(moment) filter (order_id is not null) over (partition by tenant_id, user_key)) as date
        ) as cohort_week
    from moves
)

select *, (week - cohort_week) // 7 as week_number
from dated
where week >= cohort_week;

-- Every cohort with its size and its weeks up to the tenant's newest.
create table cohort_calendar as
with
sizes as (
    select tenant_id, cohort_week, count(distinct user_key) as cohort_users
    from cohort_ledger
    group by all
),

ends as (
    select tenant_id, max(week) as newest
    from cohort_ledger
    group by all
)

select
    tenant_id,
    cohort_week,
    cohort_users,
    cast(unnest(generate_series(cohort_week, newest, interval 7 days)) as date) as activity_week
from sizes
inner join ends using (tenant_id);
