{#- The days of active_users that a touched date changes: the 30 whose trailing window holds it, and the days without
    activity on both sides, whose rows come and go with a tenant's first and last active day. -#}
{%- macro pocm_active_users_touched() %}
        with
        dates as (
            {{ touched_dates('pocm') }}
        ),

        calendars as (
            select
                tenant_id,
                arraySort(groupArray(day)) as active_days
            from {{ ref('int_pocm__actives_daily') }}
            where users > 0
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
