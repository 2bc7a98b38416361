{#- The days of compliance_daily that a window touches: those of its events, and its own, on which rows were received. -#}
{%- macro pocm_compliance_touched() -%}
    {%- set window = received_window() -%}
    {{ touched_dates('pocm') }}
    union distinct
    select toDate('{{ window.from[:10] }}') + number as occurred_date
    from numbers(toUInt64(dateDiff('day', toDate('{{ window.from[:10] }}'), toDate(toDateTime('{{ window.to }}', 'UTC') - 1))) + 1)
{%- endmacro -%}
