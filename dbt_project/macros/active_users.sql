{#- Distinct users of the trailing 1, 7 and 30 days. A source that has them keeps the states of its days in
    int_<source>__actives_daily: tenant_id, day, users and users_state. -#}

{#- The mart: every day from a tenant's first to its last active one. -#}
{%- macro active_users(actives) -%}
with
states as (
    select * from {{ actives }}
    where {{ is_within_days_before_touched('day', 29) }}
),

calendar as (
    select
        tenant_id,
        arrayJoin(arrayMap(n -> min(day) + n, range(toUInt32(max(day) - min(day) + 1)))) as day
    from {{ actives }}
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
{%- endmacro -%}

{#- The days of active_users that a touched date changes: the 30 whose trailing window holds it, and the days without
    activity on both sides, whose rows come and go with a tenant's first and last active day. -#}
{%- macro active_users_touched() %}
        with
        dates as (
            {{ touched_dates(source_of_model(model)) }}
        ),

        -- Days that were active before count too: a tenant may have none left.
        calendars as (
            select
                tenant_id,
                arraySort(groupUniqArray(day)) as active_days
            from (
                select tenant_id, day
                from {{ ref('int_' ~ source_of_model(model) ~ '__actives_daily') }}
                where users > 0
                union all
                select tenant_id, day
                from {{ this }}
                where dau > 0
            )
            group by tenant_id
        ),

        ranges as (
            select
                arrayLast(day -> day < occurred_date, arrayConcat([occurred_date], active_days)) as before,
                arrayFirst(day -> day > occurred_date, active_days) as after,
                occurred_date
            from dates
            cross join calendars
        )

        select distinct arrayJoin(arrayMap(n -> first_day + n, range(toUInt32(last_day - first_day + 1)))) as occurred_date
        from (
            select
                if(before = toDate(0), occurred_date, before) as first_day,
                greatest(
                    occurred_date + 29,
                    if(after = toDate(0), (select max(day) from {{ this }}), after)
                ) as last_day
            from ranges
        )
{%- endmacro -%}
