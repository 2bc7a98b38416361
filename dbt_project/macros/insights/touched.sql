{#- The days of metrics that a run restates: the touched ones, and the next day of each counter, whose first increase
    is measured from its last reading before. A counter that told nothing in between carries it over some days. -#}
{%- macro insights_metrics_touched() %}
        with
        dates as (
            {{ touched_dates('insights') }}
        ),

        followers as (
            select
                day,
                lagInFrame(day, 1, toDate(0)) over (
                    partition by tenant_id, name, unit, series
                    order by day
                    rows between unbounded preceding and current row
                ) as day_before
            from {{ ref('int_insights__counters_daily') }}
            where day in (
                select arrayJoin(arrayMap(n -> occurred_date + n, range({{ insights_counter_memory_days() + 1 }})))
                from dates
            )
        )

        select occurred_date from dates
        union distinct
        select followers.day as occurred_date
        from (select distinct day, day_before from followers) as followers
        cross join dates
        where
            followers.day > dates.occurred_date
            and followers.day <= dates.occurred_date + {{ insights_counter_memory_days() }}
            and followers.day_before <= dates.occurred_date
{%- endmacro -%}

{#- The days whose insights a run judges anew: those above, and all days whose baseline holds an hour of them. -#}
{%- macro insights_insights_touched() %}
        with
        restated as (
            {{ insights_metrics_touched() }}
        )

        select occurred_date from restated
        union distinct
        select day as occurred_date
        from (select distinct day from {{ ref('insights__metric_values_day') }})
        where day in (
            select arrayJoin(arrayMap(n -> occurred_date + n, range(1, {{ insights_baseline_days() + 2 }})))
            from restated
        )
{%- endmacro -%}
