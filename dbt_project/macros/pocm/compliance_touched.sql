{#- The days of compliance_daily that a window touches: those of its events, and its own, on which rows were received. -#}
{%- macro pocm_compliance_touched() -%}
    {{ touched_dates('pocm') }}
    union distinct
    {{ days_of_window() }}
{%- endmacro -%}

{#- A column of compliance_daily: where retention took what it counts, as it was counted then. -#}
{%- macro pocm_settled_or_counted(column) -%}
    {%- if rebuilds_touched_dates() -%}
        if(settled.is_settled, settled.{{ column }}, counted.{{ column }}) as {{ column }}
    {%- else -%}
        counted.{{ column }}
    {%- endif -%}
{%- endmacro -%}
