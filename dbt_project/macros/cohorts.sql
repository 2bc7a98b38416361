{#- Which weeks the models of cohorts rebuild, each as its seven days. A week is rebuilt as a whole: a user who came on any
    of its days was there once.

    A cohort is made of the users whose first fact lies in a week. `cohort_facts` in a model's config says what makes a user
    one of a cohort: the relation of the facts (tenant_id, user_key), the columns of their date and moment, and `first`, the
    column that keeps a user's first moment. `touched_by` names the correlations that restate these facts, `cohort_members`
    the model of the users' first facts, `cohort_weeks` the model of sums by cohort and week. -#}

{#- The days of the weeks from `first` to `last`, both Mondays; or 1970-01-01, the first date there is, a Thursday. -#}
{%- macro days_of_weeks(first, last) -%}
    arrayJoin(arrayFilter(
            date_of_week -> toMonday(date_of_week) <= {{ last }},
            arrayMap(n -> {{ first }} + n, range(toUInt32({{ last }} - {{ first }} + 7)))
        ))
{%- endmacro -%}

{#- The dates on which the window touches facts of the model's cohorts. -#}
{%- macro cohort_dates() -%}
    {{ touched_dates(source_of_model(model), ['self'] + config.get('touched_by', [])) }}
{%- endmacro -%}

{#- Mondays of the weeks in which something happened that the window delivered, or that is tied to it. -#}
{%- macro touched_cohort_weeks() -%}
    select distinct toMonday(occurred_date) as week
    from ({{ cohort_dates() }})
{%- endmacro -%}

{#- The touched dates, widened to whole weeks, or to whole months. -#}
{%- macro touched_weeks() -%}
    select distinct {{ days_of_weeks('week', 'week') }} as occurred_date
    from (select distinct toMonday(occurred_date) as week from ({{ touched_dates(source_of_model(model)) }}))
{%- endmacro -%}

{%- macro touched_months() -%}
    select arrayJoin(arrayMap(n -> month + n, range(toUInt32(addMonths(month, 1) - month)))) as occurred_date
    from (select distinct toStartOfMonth(occurred_date) as month from ({{ touched_dates(source_of_model(model)) }}))
{%- endmacro -%}

{#- What the touched dates say of first facts, against those that are stored: the users of those dates, and the users whose
    stored first fact lies on one of them and is not there any more (a delivery turned out to repeat another). Only the
    latter are looked up in history, from their lost fact on. -#}
{%- macro cohort_users_of_touched_dates() %}
        {%- set facts = config.require('cohort_facts') %}
        dates as (
            {{ cohort_dates() }}
        ),

        arrivals as (
            select
                known.tenant_id,
                assumeNotNull(known.user_key) as user_key,
                min(known.{{ facts.moment }}) as first_at
            from {{ ref(facts.relation) }} as known
            where
                known.{{ facts.date }} in (select occurred_date from dates)
                and known.user_key is not null
            group by
                tenant_id,
                user_key
        ),

        lost as (
            select
                stored.tenant_id as tenant_id,
                stored.user_key as user_key,
                stored.{{ facts.first }} as lost_at
            from {{ this }} as stored
            left join arrivals on stored.tenant_id = arrivals.tenant_id and stored.user_key = arrivals.user_key
            where
                toDate(stored.{{ facts.first }}) in (select occurred_date from dates)
                and (arrivals.user_key = '' or arrivals.first_at > stored.{{ facts.first }})
        ),

        following as (
            select
                known.tenant_id,
                assumeNotNull(known.user_key) as user_key,
                known.{{ facts.moment }} as first_at
            from {{ ref(facts.relation) }} as known
            where
                known.{{ facts.date }} >= (select toDate(minOrNull(lost_at)) from lost)
                and known.user_key is not null
                and (known.tenant_id, assumeNotNull(known.user_key)) in (select tenant_id, user_key from lost)
        )
{%- endmacro -%}

{#- Facts among which each user's first is: all there are, or, where a run replaces some cohorts, those of the touched dates
    and the first facts of other dates that are stored. -#}
{%- macro cohort_candidates(facts) -%}
    {%- if not rebuilds_touched_dates() -%}
    select
        known.tenant_id,
        assumeNotNull(known.user_key) as user_key,
        known.{{ facts.moment }} as first_at
    from {{ ref(facts.relation) }} as known
    where known.user_key is not null
    {%- else %}
        with
        {{- cohort_users_of_touched_dates() }}

        select * from arrivals
        union all
        select * from following
        union all
        select
            tenant_id,
            user_key,
            {{ facts.first }} as first_at
        from {{ this }}
        where
            toDate({{ facts.first }}) not in (select occurred_date from dates)
            and (
                {{ is_touched('cohort_week') }}
                or (tenant_id, user_key) in (select tenant_id, user_key from arrivals)
            )
    {%- endif -%}
{%- endmacro -%}

{#- The cohorts that somebody joins or leaves: those of the touched weeks, those that a user leaves for an earlier one, and
    those in which users who lost their first fact begin now. -#}
{%- macro cohort_members_touched() %}
        {%- set facts = config.require('cohort_facts') %}
        with
        {{- cohort_users_of_touched_dates() }},

        weeks as (
            {{ touched_cohort_weeks() }}
            union distinct
            select stored.cohort_week as week
            from {{ this }} as stored
            inner join arrivals on stored.tenant_id = arrivals.tenant_id and stored.user_key = arrivals.user_key
            where arrivals.first_at < stored.{{ facts.first }}
            union distinct
            select toMonday(first_at) as week
            from following
        )

        select {{ days_of_weeks('week', 'week') }} as occurred_date
        from weeks
{%- endmacro -%}

{#- The touched weeks, and every week of a cohort whose members are not those it was summed with: a user who moves takes
    along all weeks. -#}
{%- macro cohort_weeks_touched() %}
        with
        members_now as (
            select
                tenant_id,
                cohort_week,
                groupBitXor(cityHash64(user_key)) as members
            from {{ ref(config.require('cohort_members')) }}
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
            {{ touched_cohort_weeks() }}
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
{%- macro cohort_mart_touched(key) %}
        with
        summed as (
            select * from {{ ref(config.require('cohort_weeks')) }}
        ),

        stored as (
            select * from {{ this }}
        ),

        starts as (
            {{ touched_cohort_weeks() }}
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

{%- macro cohort_retention_touched() -%}
    {{ cohort_mart_touched(['cohort_week']) }}
{%- endmacro -%}

{%- macro cohort_ltv_touched() -%}
    {{ cohort_mart_touched(['cohort_week', 'currency']) }}
{%- endmacro -%}

{#- Who of a cohort comes back, week by week. `weeks` are sums by cohort and week, `users` is their column of users. -#}
{%- macro cohort_retention(weeks, users) -%}
with
weeks as (
    select * from {{ weeks }}
),

cohorts as (
    select
        tenant_id,
        cohort_week,
        sum({{ users }}) as cohort_users
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

came as (
    select
        tenant_id,
        cohort_week,
        activity_week,
        sum({{ users }}) as users
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
    came.users as retained_users,
    toUInt16(intDiv(calendar.days_later, 7)) as week_number,
    calendar.cohort_week + calendar.days_later as activity_week,
    {{ ratio('came.users', 'calendar.cohort_users') }} as retention_rate
from calendar
left join came
    on
        calendar.tenant_id = came.tenant_id
        and calendar.cohort_week = came.cohort_week
        and calendar.cohort_week + calendar.days_later = came.activity_week
{%- endmacro -%}
