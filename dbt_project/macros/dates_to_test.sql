{#- The dates that a run's window touches in any way, or all where it has no window. -#}
{%- macro dates_to_test(date_column) -%}
    {%- if received_window() is none -%}
        true
    {%- else -%}
        toDate({{ date_column }}) in ({{ touched_dates(source_of_model(model), via=none) }})
    {%- endif -%}
{%- endmacro -%}
