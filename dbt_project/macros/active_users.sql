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
        {{ days_to_replace('min(day)', 'max(day)') }} as day
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

{#- The days of active_users that a run changes: the 30 whose trailing window holds a touched date, and those that come or
    go because a tenant's first or last active day is another one than the stored days say. -#}
{%- macro active_users_touched() %}
        with
        dates as (
            {{ touched_dates(source_of_model(model)) }}
        ),

        bounds as (
            select
                tenant_id,
                min(toInt32(day)) as first_day,
                max(toInt32(day)) as last_day,
                minIf(toInt32(day), not is_stored) as first_active,
                maxIf(toInt32(day), not is_stored) as last_active,
                minIf(toInt32(day), is_stored) as first_stored,
                maxIf(toInt32(day), is_stored) as last_stored,
                countIf(is_stored) > 0 and countIf(not is_stored) > 0 as is_in_both
            from (
                select
                    tenant_id,
                    day,
                    false as is_stored
                from {{ ref('int_' ~ source_of_model(model) ~ '__actives_daily') }}
                where users > 0
                union all
                select
                    tenant_id,
                    day,
                    true as is_stored
                from {{ this }}
            )
            group by tenant_id
        ),

        changed as (
            select distinct
                days.1 as since,
                days.2 as until
            from bounds
            array join if(
                is_in_both,
                [
                    (first_day, greatest(first_active, first_stored) - 1),
                    (least(last_active, last_stored) + 1, last_day)
                ],
                [(first_day, last_day)]
            ) as days
            where since <= until
        )

        select arrayJoin(arrayMap(n -> occurred_date + n, range(30))) as occurred_date
        from dates
        union distinct
        select arrayJoin(arrayMap(n -> toDate(since + n), range(toUInt32(until - since + 1)))) as occurred_date
        from changed
{%- endmacro -%}
