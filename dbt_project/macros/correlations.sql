{#- Generated from ingestion/contracts by `millrace contracts generate`; do not edit. -#}
{%- macro correlations_of(source_name) -%}
    {%- set declared = {
        'bilten': ['session', 'order', 'visit'],
        'insights': [],
        'pocm': ['session', 'order', 'cart', 'payment', 'shipment', 'search', 'recommendation'],
        'studyin': ['session'],
    } -%}
    {{ return(declared[source_name]) }}
{%- endmacro -%}
