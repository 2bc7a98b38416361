{{
    config(
        materialized='partition_replace',
        date_column='activity_week',
        partition='week',
        order_by=['tenant_id', 'activity_week', 'cohort_week', 'currency'],
        touched_query='cohort_ltv_touched',
        touched_by=['order'],
        cohort_weeks='int_pocm__cohort_weeks_summed',
        tags=['weekly'],
    )
}}

with
weeks as (
    select * from {{ ref('int_pocm__cohort_weeks_summed') }}
),

cohorts as (
    select
        tenant_id,
        cohort_week,
        sum(buyers) as cohort_users
    from weeks
    where activity_week = cohort_week
    group by
        tenant_id,
        cohort_week
),

currencies as (
    select distinct
        tenant_id,
        cohort_week,
        currency
    from weeks
),

newest as (
    select
        tenant_id,
        max(activity_week) as newest_week
    from weeks
    group by tenant_id
),

calendar as (
    select
        cohorts.tenant_id as tenant_id,  -- noqa: AL09
        cohorts.cohort_week as cohort_week,  -- noqa: AL09
        cohorts.cohort_users,
        currencies.currency as currency,  -- noqa: AL09
        arrayJoin(range(toUInt32(0), toUInt32(newest.newest_week - cohorts.cohort_week + 7), toUInt32(7))) as days_later
    from cohorts
    inner join newest on cohorts.tenant_id = newest.tenant_id
    inner join currencies on cohorts.tenant_id = currencies.tenant_id and cohorts.cohort_week = currencies.cohort_week
),

earned as (
    select
        calendar.tenant_id as tenant_id,  -- noqa: AL09
        calendar.cohort_week as cohort_week,  -- noqa: AL09
        calendar.currency as currency,  -- noqa: AL09
        calendar.cohort_users,
        calendar.days_later,
        weeks.orders,
        weeks.revenue,
        weeks.refund_amount,
        cast(weeks.revenue - weeks.refund_amount, 'Decimal(18, 4)') as net_revenue
    from calendar
    left join weeks
        on
            calendar.tenant_id = weeks.tenant_id
            and calendar.cohort_week = weeks.cohort_week
            and calendar.currency = weeks.currency
            and calendar.cohort_week + calendar.days_later = weeks.activity_week
),

accumulated as (
    select
        *,
        cast(
            sum(net_revenue) over (
                partition by tenant_id, cohort_week, currency
                order by days_later
                rows between unbounded preceding and current row
            ),
            'Decimal(18, 4)'
        ) as cumulative_net_revenue
    from earned
)

select
    tenant_id,
    cohort_week,
    currency,
    cohort_users,
    orders,
    revenue,
    refund_amount,
    net_revenue,
    cumulative_net_revenue,
    toUInt16(intDiv(days_later, 7)) as week_number,
    cohort_week + days_later as activity_week,
    {{ money_per('net_revenue', 'cohort_users') }} as net_revenue_per_user,
    {{ money_per('cumulative_net_revenue', 'cohort_users') }} as ltv
from accumulated
