with
used as (
    select distinct tenant_id, cohort_week, currency
    from cohort_ledger
),

-- All moves up to and including the week, of which those of the week itself are its own.
so_far as (
    select
        weeks.tenant_id,
        weeks.cohort_week,
        weeks.activity_week,
        weeks.cohort_users,
        used.currency,
        count(moves.order_id) filter (moves.week = weeks.activity_week) as orders,
        coalesce(sum(moves.amount) filter (moves.week = weeks.activity_week), 0) as revenue,
        coalesce(sum(moves.refunded) filter (moves.week = weeks.activity_week), 0) as refund_amount,
        coalesce(sum(moves.amount - moves.refunded), 0) as cumulative_net_revenue
    from cohort_calendar as weeks
    inner join used using (tenant_id, cohort_week)
    left join cohort_ledger as moves
        on
            weeks.tenant_id = moves.tenant_id
            and weeks.cohort_week = moves.cohort_week
            and used.currency = moves.currency
            and moves.week <= weeks.activity_week
    group by all
)

select
    *,
    (activity_week - cohort_week) // 7 as week_number,
    revenue - refund_amount as net_revenue,
    money_per(revenue - refund_amount, cohort_users) as net_revenue_per_user,
    money_per(cumulative_net_revenue, cohort_users) as ltv
from so_far
