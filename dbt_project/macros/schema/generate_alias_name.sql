{# The file of a mart is <source>__<mart>.sql, its table <mart> in the database <source>. #}
{% macro generate_alias_name(custom_alias_name=none, node=none) -%}
    {%- if custom_alias_name -%}
        {{ custom_alias_name | trim }}
    {%- elif node.resource_type == 'model' and node.fqn[1] == 'marts' and node.name.startswith(node.fqn[2] ~ '__') -%}
        {{ node.name[(node.fqn[2] | length) + 2:] }}
    {%- else -%}
        {{ node.name }}
    {%- endif -%}
{%- endmacro %}
