{#- Events of several kinds as rows of one shape: each with the fields that its kind sends, null in the others.

    key: column that the events belong together by.
    kinds: name of a staging model -> those of the fields that its events carry.
    fields: name -> type, without Nullable.
    also: columns that every kind has.
    condition: which events, such as is_touched_event(). -#}
{%- macro events_unioned(key, kinds, fields, also=[], condition=none) -%}
{%- for relation, sent in kinds.items() %}
    select
        tenant_id,
        {{ key }},
        event_id,
        event_type,
        occurred_at,
        occurred_date,
        {%- for column in also %}
        {{ column }},
        {%- endfor %}
        {%- for name, type in fields.items() %}
        {{ 'toNullable(' ~ name ~ ')' if name in sent else 'cast(null, \'Nullable(' ~ type | replace("'", "\\'") ~ ')\')' }} as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref(relation) }}
    {%- if condition is not none %}
    where
        {{ condition }}
    {%- endif %}
    {{ 'union all' if not loop.last }}
{%- endfor %}
{%- endmacro -%}
