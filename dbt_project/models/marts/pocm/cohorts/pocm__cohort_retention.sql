{{
    config(
        materialized='partition_replace',
        date_column='activity_week',
        partition='week',
        order_by=['tenant_id', 'activity_week', 'cohort_week'],
        touched_query='pocm_cohort_retention_touched',
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
        cohorts.cohort_week,
        cohorts.cohort_users,
        arrayJoin(range(toUInt32(0), toUInt32(newest.newest_week - cohorts.cohort_week + 7), toUInt32(7))) as days_later
    from cohorts
    inner join newest on cohorts.tenant_id = newest.tenant_id
),

bought as (
    select
        tenant_id,
        cohort_week,
        activity_week,
        sum(buyers) as buyers
    from weeks
    group by
        tenant_id,
        cohort_week,
        activity_week
)

select
    calendar.tenant_id as tenant_id,  -- noqa: AL09
    calendar.cohort_week as cohort_week,  -- noqa: AL09
    calendar.cohort_users,
    bought.buyers as retained_users,
    toUInt16(intDiv(calendar.days_later, 7)) as week_number,
    calendar.cohort_week + calendar.days_later as activity_week,
    {{ ratio('bought.buyers', 'calendar.cohort_users') }} as retention_rate
from calendar
left join bought
    on
        calendar.tenant_id = bought.tenant_id
        and calendar.cohort_week = bought.cohort_week
        and calendar.cohort_week + calendar.days_later = bought.activity_week
