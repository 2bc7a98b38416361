{{
    config(
        materialized='partition_replace',
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'day'],
        touched_query='pocm_active_users_touched',
        tags=['daily'],
    )
}}

with
states as (
    select * from {{ ref('int_pocm__actives_daily') }}
    where {{ is_within_days_before_touched('day', 29) }}
),

calendar as (
    select
        tenant_id,
        arrayJoin(arrayMap(n -> min(day) + n, range(toUInt32(max(day) - min(day) + 1)))) as day
    from {{ ref('int_pocm__actives_daily') }}
    where users > 0
    group by tenant_id
),

trailing as (
    select
        tenant_id,
        age,
        users_state,
        day + age as day
    from states
    array join range(30) as age
),

merged as (
    select
        tenant_id,
        day,
        uniqExactMergeIf(users_state, age = 0) as dau,
        uniqExactMergeIf(users_state, age < 7) as wau,
        uniqExactMerge(users_state) as mau
    from trailing
    where {{ is_touched('day') }}
    group by
        tenant_id,
        day
)

select
    calendar.tenant_id,
    calendar.day,
    merged.dau,
    merged.wau,
    merged.mau
from calendar
left join merged on calendar.tenant_id = merged.tenant_id and calendar.day = merged.day
where {{ is_touched('calendar.day') }}
