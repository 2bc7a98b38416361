{# The database follows the folder: staging, intermediate, and for marts the source they belong to. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- if custom_schema_name is not none -%}
        {{ custom_schema_name | trim }}
    {%- elif node.resource_type == 'model' and node.fqn[1] == 'marts' -%}
        {{ node.fqn[2] }}
    {%- elif node.resource_type == 'model' and node.fqn[1] == 'staging' -%}
        staging
    {%- else -%}
        {{ target.schema }}
    {%- endif -%}
{%- endmacro %}
