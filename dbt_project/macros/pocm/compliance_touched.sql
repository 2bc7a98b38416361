{#- The days of compliance_daily that a window touches: those of its events, and its own, on which rows were received. -#}
{%- macro pocm_compliance_touched() -%}
    {{ touched_dates('pocm') }}
    union distinct
    {{ days_of_window() }}
{%- endmacro -%}
