{#- Which weeks the models of cohorts rebuild, each as its seven days. A week is rebuilt as a whole: a user who bought on any
    of its days was there once. -#}

{#- The days of the weeks from `first` to `last`, both Mondays. -#}
{%- macro days_of_weeks(first, last) -%}
    arrayJoin(arrayMap(n -> {{ first }} + n, range(toUInt32({{ last }} - {{ first }} + 7))))
{%- endmacro -%}

{#- Mondays of the weeks in which something happened that the window delivered, or that shares an order with it. -#}
{%- macro pocm_touched_order_weeks() -%}
    select distinct toMonday(occurred_date) as week
    from ({{ touched_dates('pocm', ['self', 'order']) }})
{%- endmacro -%}

{#- The touched dates, widened to whole weeks, or to whole months. -#}
{%- macro pocm_touched_weeks() -%}
    select distinct {{ days_of_weeks('week', 'week') }} as occurred_date
    from (select distinct toMonday(occurred_date) as week from ({{ touched_dates('pocm') }}))
{%- endmacro -%}

{%- macro pocm_touched_months() -%}
    select arrayJoin(arrayMap(n -> month + n, range(toUInt32(addMonths(month, 1) - month)))) as occurred_date
    from (select distinct toStartOfMonth(occurred_date) as month from ({{ touched_dates('pocm') }}))
{%- endmacro -%}

{#- What the touched dates say of first orders, against those that are stored: the buyers of those dates, and the buyers
    whose stored first order lies on one of them and is not there any more (a delivery turned out to repeat another). Only
    the latter are looked up in history, from their lost order on. -#}
{%- macro pocm_buyers_of_touched_dates() %}
        dates as (
            {{ touched_dates('pocm', ['self', 'order']) }}
        ),

        arrivals as (
            select
                placed.tenant_id,
                assumeNotNull(placed.user_key) as user_key,
                min(placed.placed_at) as ordered_at
            from {{ ref('pocm__fact_orders') }} as placed
            where
                placed.order_date in (select occurred_date from dates)
                and placed.user_key is not null
            group by
                tenant_id,
                user_key
        ),

        lost as (
            select
                stored.tenant_id as tenant_id,
                stored.user_key as user_key,
                stored.first_ordered_at as lost_at
            from {{ this }} as stored
            left join arrivals on stored.tenant_id = arrivals.tenant_id and stored.user_key = arrivals.user_key
            where
                toDate(stored.first_ordered_at) in (select occurred_date from dates)
                and (arrivals.user_key = '' or arrivals.ordered_at > stored.first_ordered_at)
        ),

        following as (
            select
                placed.tenant_id,
                assumeNotNull(placed.user_key) as user_key,
                placed.placed_at as ordered_at
            from {{ ref('pocm__fact_orders') }} as placed
            where
                placed.order_date >= (select toDate(minOrNull(lost_at)) from lost)
                and placed.user_key is not null
                and (placed.tenant_id, assumeNotNull(placed.user_key)) in (select tenant_id, user_key from lost)
        )
{%- endmacro -%}

{#- Orders among which each user's first is: all there are, or, where a run replaces some cohorts, those of the touched dates
    and the first orders of other dates that are stored. -#}
{%- macro pocm_first_order_candidates() -%}
    {%- if not rebuilds_touched_dates() -%}
    select
        placed.tenant_id,
        assumeNotNull(placed.user_key) as user_key,
        placed.placed_at as ordered_at
    from {{ ref('pocm__fact_orders') }} as placed
    where placed.user_key is not null
    {%- else %}
        with
        {{- pocm_buyers_of_touched_dates() }}

        select * from arrivals
        union all
        select * from following
        union all
        select
            tenant_id,
            user_key,
            first_ordered_at as ordered_at
        from {{ this }}
        where
            toDate(first_ordered_at) not in (select occurred_date from dates)
            and (
                {{ is_touched('cohort_week') }}
                or (tenant_id, user_key) in (select tenant_id, user_key from arrivals)
            )
    {%- endif -%}
{%- endmacro -%}

{#- The cohorts that somebody joins or leaves: those of the touched weeks, those that a buyer leaves for an earlier one, and
    those in which buyers who lost their first order begin now. -#}
{%- macro pocm_first_orders_touched() %}
        with
        {{- pocm_buyers_of_touched_dates() }},

        weeks as (
            {{ pocm_touched_order_weeks() }}
            union distinct
            select stored.cohort_week as week
            from {{ this }} as stored
            inner join arrivals on stored.tenant_id = arrivals.tenant_id and stored.user_key = arrivals.user_key
            where arrivals.ordered_at < stored.first_ordered_at
            union distinct
            select toMonday(ordered_at) as week
            from following
        )

        select {{ days_of_weeks('week', 'week') }} as occurred_date
        from weeks
{%- endmacro -%}

{#- The touched weeks, and every week of a cohort whose members are not those it was summed with: a buyer who moves takes
    along all purchases. -#}
{%- macro pocm_cohort_weeks_touched() %}
        with
        members_now as (
            select
                tenant_id,
                cohort_week,
                groupBitXor(cityHash64(user_key)) as members
            from {{ ref('int_pocm__first_orders_found') }}
            group by
                tenant_id,
                cohort_week
        ),

        members_summed as (
            select
                tenant_id,
                cohort_week,
                any(members) as members
            from {{ this }}
            where activity_week = cohort_week
            group by
                tenant_id,
                cohort_week
        ),

        changed as (
            select cohort_week as week
            from (
                select * from members_now
                union all
                select * from members_summed
            )
            group by
                tenant_id,
                cohort_week
            having count() = 1 or min(members) != max(members)
        ),

        touched as (
            {{ pocm_touched_order_weeks() }}
        ),

        newest as (
            select max(week) as week
            from (
                select activity_week as week from {{ this }}
                union all
                select week from touched
            )
        )

        select distinct {{ days_of_weeks('week', 'last_week') }} as occurred_date
        from (
            select
                week,
                assumeNotNull((select week from newest)) as last_week
            from changed
            union all
            select
                week,
                week as last_week
            from touched
        )
{%- endmacro -%}

{#- The weeks from the first that a mart of cohorts has to say something new about: the first touched one, for a late order
    or refund changes what its cohort has brought up to every later week; where a tenant's newest week is another one now,
    those in between; and all weeks of what is new by `key`, of which `key` lists the columns beside the tenant. -#}
{%- macro pocm_cohort_mart_touched(key) %}
        with
        summed as (
            select * from {{ ref('int_pocm__cohort_weeks_summed') }}
        ),

        stored as (
            select * from {{ this }}
        ),

        starts as (
            {{ pocm_touched_order_weeks() }}
            union distinct
            select least(week_summed, week_stored) + 7 as week
            from (select tenant_id, max(activity_week) as week_summed from summed group by tenant_id) as newest
            inner join (select tenant_id, max(activity_week) as week_stored from stored group by tenant_id) as before
                on newest.tenant_id = before.tenant_id
            where week_summed != week_stored
            union distinct
            select cohort_week as week
            from (
                select distinct tenant_id, {{ key | join(', ') }} from summed
                union all
                select distinct tenant_id, {{ key | join(', ') }} from stored
            )
            group by
                tenant_id,
                {{ key | join(', ') }}
            having count() = 1
        ),

        ends as (
            select
                min(week) as first_week,
                assumeNotNull((select max(activity_week) from summed)) as last_week_summed,
                assumeNotNull((select max(activity_week) from stored)) as last_week_stored
            from starts
            having count() > 0
        )

        select {{ days_of_weeks('first_week', 'greatest(last_week_summed, last_week_stored)') }} as occurred_date
        from ends
        where first_week <= greatest(last_week_summed, last_week_stored)
{%- endmacro -%}

{%- macro pocm_cohort_retention_touched() -%}
    {{ pocm_cohort_mart_touched(['cohort_week']) }}
{%- endmacro -%}

{%- macro pocm_cohort_ltv_touched() -%}
    {{ pocm_cohort_mart_touched(['cohort_week', 'currency']) }}
{%- endmacro -%}
