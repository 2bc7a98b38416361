{#- The events that show a device at work: those of its group without what people say of it. -#}
{%- macro pocm_telemetry_types() -%}
    'DEVICE_ACTIVATED',
    'PATCH_APPLIED',
    'DOSE_DELIVERED',
    'SENSOR_READING',
    'DEVICE_STATUS',
    'FIRMWARE_UPDATED',
    'DEVICE_INTERACTION'
{%- endmacro -%}

{#- The start of the part of a day, between changes of a device, that an event lies in. Over a relation that is joined
    as of `changes`; a device without a change before the event on that day is in the day's first part. -#}
{%- macro pocm_span_start(day) -%}
    greatest(changes.changed_at, toDateTime64({{ day }}, 3, 'UTC'))
{%- endmacro -%}

{#- A whole number of any width as the nearest Float64: a cast of a wide one may be off by one in its last place. -#}
{%- macro nearest_float(number) -%}
    toFloat64(toString({{ number }}))
{%- endmacro -%}

{#- Mean of values that are summed in ten-thousandths. -#}
{%- macro pocm_mean_value(total, number) -%}
    {{ nearest_float(total) }} / toFloat64({{ number }}) / 10000
{%- endmacro -%}

{#- Sample standard deviation over mean, out of exact sums; null below two values and where the mean is 0. -#}
{%- macro pocm_coefficient_of_variation(total, squares, number) -%}
    if(
        {{ number }} < 2 or {{ total }} = 0,
        null,
        sqrt(
            {{ nearest_float('toInt256(' ~ number ~ ') * toInt256(' ~ squares ~ ') - toInt256(' ~ total ~ ') * toInt256(' ~ total ~ ')') }}
            / (toFloat64({{ number }}) * toFloat64({{ number }} - 1))
        ) / abs({{ nearest_float(total) }} / toFloat64({{ number }}))
    )
{%- endmacro -%}

{#- The days whose readings a run judges anew: the touched ones, and the six after each whose trailing week holds it. -#}
{%- macro pocm_device_readings_touched() %}
        with
        dates as (
            {{ touched_dates('pocm') }}
        )

        select occurred_date from dates
        union distinct
        select day as occurred_date
        from {{ ref('int_pocm__events_counted') }}
        where
            event_type = 'SENSOR_READING'
            and day in (select arrayJoin(arrayMap(n -> occurred_date + n, range(1, 7))) from dates)
{%- endmacro -%}

{#- Every prescription that was ever assigned. What assigned one can vanish, with the load that brought it: then only this
    tells which days have to be counted without it. -#}
{%- macro pocm_known_prescriptions(assigned) -%}
    {{ return(api.Relation.create(schema=target.schema, identifier=assigned.schema ~ '__' ~ assigned.identifier ~ '__keys_by_date', type='table')) }}
{%- endmacro -%}

{%- macro pocm_prescription_columns() -%}
    {{ return('assigned_date, tenant_id, prescription_id, starts_on, ends_on') }}
{%- endmacro -%}

{#- Adds the prescriptions of the touched dates, at first all there are, to those that were ever assigned. -#}
{%- macro pocm_remember_prescriptions() -%}
    {%- if execute -%}
        {%- set known = pocm_known_prescriptions(this) -%}
        {%- set columns = pocm_prescription_columns() -%}
        {%- set condition = 'true' if load_cached_relation(known) is none else 'assigned_date in (' ~ touched_dates('pocm') ~ ')' -%}
        {%- do run_query('create table if not exists ' ~ known ~ ' engine = MergeTree order by (' ~ columns ~ ') empty as select ' ~ columns ~ ' from ' ~ this) -%}
        {%- do run_query('insert into ' ~ known ~ ' select distinct ' ~ columns ~ ' from ' ~ this ~ ' where ' ~ condition ~ ' except select ' ~ columns ~ ' from ' ~ known ~ ' where ' ~ condition) -%}
    {%- endif -%}
{%- endmacro -%}

{#- The days of prescriptions that a run counts anew: the touched ones; those that have passed, or have not any more,
    because a tenant's last day is another one now; every day of a prescription that the window brought or
    lost.

    Days without any event pass when an event follows them: those between two neighbouring days of a tenant, of which the
    window touches the later one or a day between. What stands behind the tenant's last day goes. Of either, the days of
    its prescriptions hold rows, and no others. -#}
{%- macro pocm_patch_days_touched() %}
        {%- set window = received_window() -%}
        {%- set assigned = ref('int_pocm__prescriptions_assigned') -%}
        {%- set known = pocm_known_prescriptions(assigned) %}
        with
        dates as (
            {{ touched_dates('pocm') }}
        ),

        active as (
            select
                tenant_id,
                day,
                lagInFrame(toNullable(day)) over (
                    partition by tenant_id
                    order by day
                    rows between unbounded preceding and current row
                ) as day_before
            from (select distinct tenant_id, day from {{ ref('int_pocm__events_counted') }})
        ),

        newest as (
            select
                tenant_id,
                max(day) as newest_day
            from active
            group by tenant_id
        ),

        silent as (
            select
                gaps.tenant_id,
                gaps.day_before + 1 as first_day,
                gaps.day - 1 as last_day
            from (
                select tenant_id, assumeNotNull(day_before) as day_before, day, true as is_gap
                from active
                where coalesce(day - day_before > 1, false)
            ) as gaps
            asof inner join (select occurred_date, true as is_gap from dates) as touched
                on gaps.is_gap = touched.is_gap and gaps.day >= touched.occurred_date
            where touched.occurred_date > gaps.day_before
            union all
            select
                stored.tenant_id,
                newest.newest_day + 1 as first_day,
                stored.stored_day as last_day
            from (select tenant_id, max(day) as stored_day from {{ this }} group by tenant_id) as stored
            inner join newest on stored.tenant_id = newest.tenant_id
            where stored.stored_day > newest.newest_day
        ),

        prescribed as (
            select distinct
                prescriptions.tenant_id,
                prescriptions.starts_on,
                -- A tenant without any event left had its last on one of the dates.
                least(
                    prescriptions.ends_on,
                    if(newest.tenant_id = '', (select max(dates.occurred_date) from dates), newest.newest_day)
                ) as ends_on,
                prescriptions.ends_on as planned_until,
                (prescriptions.tenant_id, prescriptions.prescription_id) in (
                    select
                        tenant_id,
                        prescription_id
                    from {{ assigned }}
                    where
                        received_hour >= toDateTime('{{ window.from }}', 'UTC')
                        and received_hour < toDateTime('{{ window.to }}', 'UTC')
                    union distinct
                    select
                        tenant_id,
                        prescription_id
                    from {{ known }}
                    where
                        assigned_date in (select occurred_date from dates)
                        and ({{ pocm_prescription_columns() }}) not in (
                            select {{ pocm_prescription_columns() }}
                            from {{ assigned }}
                            where assigned_date in (select occurred_date from dates)
                        )
                ) as is_restated
            from {{ known }} as prescriptions
            left join newest on prescriptions.tenant_id = newest.tenant_id
        )

        select occurred_date from dates
        union distinct
        select arrayJoin(arrayMap(n -> first_day + n, range(toUInt32(last_day - first_day + 1)))) as occurred_date
        from (
            select distinct
                starts_on as first_day,
                ends_on as last_day
            from prescribed
            where is_restated and starts_on <= ends_on
            union distinct
            select
                greatest(prescribed.starts_on, silent.first_day) as first_day,
                least(prescribed.planned_until, silent.last_day) as last_day
            from prescribed
            inner join silent on prescribed.tenant_id = silent.tenant_id
            where first_day <= last_day
        )
{%- endmacro -%}

{#- The days of kpi_daily: what its events touch, and the days of prescriptions. -#}
{%- macro pocm_kpi_daily_touched() %}
        select occurred_date from ({{ touched_dates('pocm', ['self'] + config.get('touched_by', [])) }})
        union distinct
        select occurred_date from ({{ pocm_patch_days_touched() }})
{%- endmacro -%}

