{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='activity_week',
        partition='week',
        order_by=['tenant_id', 'activity_week', 'cohort_week'],
        touched_query='cohort_weeks_touched',
        cohort_members='int_bilten__first_days_found',
        tags=['weekly'],
    )
}}

with
weeks as (
    select distinct
        tenant_id,
        user_key,
        toMonday(day) as activity_week
    from {{ ref('int_bilten__users_daily') }}
    where {{ is_touched('day') }}
),

first_days as (
    select * from {{ ref('int_bilten__first_days_found') }}
),

members as (
    select
        tenant_id,
        cohort_week,
        groupBitXor(cityHash64(user_key)) as members
    from first_days
    group by
        tenant_id,
        cohort_week
),

came as (
    select
        weeks.tenant_id as tenant_id,  -- noqa: AL09
        weeks.activity_week,
        first_days.cohort_week,
        count() as users
    from weeks
    inner join first_days on weeks.tenant_id = first_days.tenant_id and weeks.user_key = first_days.user_key
    group by
        tenant_id,
        weeks.activity_week,
        first_days.cohort_week
)

select
    came.tenant_id as tenant_id,  -- noqa: AL09
    came.activity_week,
    came.cohort_week as cohort_week,  -- noqa: AL09
    came.users,
    members.members
from came
inner join members on came.tenant_id = members.tenant_id and came.cohort_week = members.cohort_week
