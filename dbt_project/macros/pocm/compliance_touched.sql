{#- The days of compliance_daily that a window touches: those of its events, and its own, on which rows were received. -#}
{%- macro pocm_compliance_touched() -%}
    {%- set window = received_window() -%}
    {{ touched_dates('pocm') }}
    union distinct
    select toDate('{{ window.from[:10] }}') + number as occurred_date
    from numbers(toUInt64(dateDiff('day', toDate('{{ window.from[:10] }}'), toDate(toDateTime('{{ window.to }}', 'UTC') - 1))) + 1)
{%- endmacro -%}

{#- A column of compliance_daily: where retention took what it counts, as it was counted then. -#}
{%- macro pocm_settled_or_counted(column) -%}
    {%- if rebuilds_touched_dates() -%}
        if(settled.is_settled, settled.{{ column }}, counted.{{ column }}) as {{ column }}
    {%- else -%}
        counted.{{ column }}
    {%- endif -%}
{%- endmacro -%}
