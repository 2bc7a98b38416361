{#- The first of several times; null where there is none. -#}
{%- macro first_at(times) -%}
    arrayFirstOrNull(moment -> true, arraySort({{ times }}))
{%- endmacro -%}

{#- The first of several times at or after another one; null where there is none. -#}
{%- macro first_at_or_after(times, earliest) -%}
    arrayFirstOrNull(moment -> ifNull(moment >= {{ earliest }}, false), arraySort({{ times }}))
{%- endmacro -%}

{#- The steps of a funnel, counted: CTEs and a select over a relation of (tenant_id, day, scope) and the times at which each
    session reached what.

    steps: of each step its name, the column of the time at which it was reached, and that of the time at which the next
    was reached after it. -#}
{%- macro funnel_steps(times, steps) -%}
{%- set last = steps | length -%}
steps as (
    select
        tenant_id,
        day,
        scope,
        tupleElement(step, 1) as step_number,
        tupleElement(step, 2) as reached_at,
        tupleElement(step, 3) as next_at
    from {{ times }}
    array join
        [
            {%- for name, reached, next in steps %}
            (toUInt8({{ loop.index }}), {{ reached }}, {{ next or 'null' }}){{ ',' if not loop.last }}
            {%- endfor %}
        ] as step
),

counted as (
    select
        tenant_id,
        day,
        scope,
        step_number,
        countIf(reached_at is not null) as reached,
        countIf(next_at is not null) as onward,
        medianExactOrNullIf(
            assumeNotNull(dateDiff('millisecond', reached_at, next_at)), next_at is not null
        ) as median_ms
    from steps
    group by
        tenant_id,
        day,
        scope,
        step_number
)

select
    tenant_id,
    day,
    scope,
    step_number,
    reached as sessions,
    arrayElement(['{{ steps | map('first') | join("', '") }}'], step_number) as step,
    if(step_number = {{ last }}, null, onward) as sessions_next,
    if(step_number = {{ last }} or reached = 0, null, 1 - onward / reached) as drop_off_rate,
    median_ms / 1000 as median_seconds_to_next
from counted
{%- endmacro -%}
