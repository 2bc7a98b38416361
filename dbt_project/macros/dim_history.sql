{#- The states of a dimension, from the rows that tell of its changes: each with the times from and to which it held.

    changes: relation with the keys, the attributes, the moment of the change, and what decides between rows of one moment.
    last_by: columns of which the highest holds among changes at the same moment.
    carried: columns of the change that began a state, which make no state of their own.
    number: name of a column that counts the states of a key from 1. -#}
{%- macro dim_history(
    changes, keys, attributes, moment='changed_at', last_by=['event_id'], carried=[], number=none
) -%}
-- Of changes at the same moment one holds.
states as (
    select *
    from {{ changes }}
    order by
        {{ moment }} desc,
        {{ last_by | join(' desc,\n        ') }} desc
    limit 1 by ({{ keys | join(', ') }}, {{ moment }})
),

compared as (
    select
        *,
        toString(tuple({{ attributes | join(', ') }})) as attributes,
        lagInFrame(attributes) over key_history as attributes_before,
        row_number() over key_history as change_number
    from states
    window key_history as (
        partition by {{ keys | join(', ') }}
        order by {{ moment }}
        rows between unbounded preceding and current row
    )
),

versions as (
    select *
    from compared
    where change_number = 1 or attributes != attributes_before
)

select
    {%- for column in keys + attributes + carried %}
    {{ column }},
    {%- endfor %}
    {{ moment }} as valid_from,
    {%- if number is not none %}
    toUInt32(row_number() over key_versions) as {{ number }},
    {%- endif %}
    leadInFrame(toNullable({{ moment }})) over key_versions as valid_to,
    toBool(valid_to is null) as is_current
from versions
window key_versions as (
    partition by {{ keys | join(', ') }}
    order by {{ moment }}
    rows between unbounded preceding and unbounded following
)
{%- endmacro -%}

{#- Changes of rows that carry a version, with held_from: the version decides the order, so that time never runs backwards.
    A version that was told more than once stands as it was told last. -#}
{%- macro in_order_of_versions(changes, keys) -%}
    select
        *,
        max(changed_at) over (
            partition by {{ keys | join(', ') }}
            order by version
            rows between unbounded preceding and current row
        ) as held_from
    from (
        select *
        from {{ changes }}
        order by
            changed_at desc,
            event_id desc
        limit 1 by ({{ keys | join(', ') }}, version)
    )
{%- endmacro -%}
