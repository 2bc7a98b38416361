{#- What every source's marts may know of the platform itself: its staging views are these queries. -#}

{#- Every accepted delivery of a source, repeated ones too, without its payload. -#}
{%- macro staged_receipts(source_name) -%}
with

source as (
    select *
    from {{ source('raw', 'events') }}
    where source = '{{ source_name }}'
)

select
    tenant_id,
    event_type,
    event_id,
    received_at,
    received_hour,
    load_id,
    row_number,
    is_duplicate,
    toDate(received_hour) as received_date
from source
{%- endmacro -%}

{#- When marts of a source first held what was received in an hour. -#}
{%- macro staged_builds(source_name) -%}
with

source as (
    select *
    from {{ source('ops', 'builds') }}
    where source = '{{ source_name }}'
)

select
    cadence,
    received_hour,
    min(built_at) as built_at,
    toDate(received_hour) as received_date
from source
group by
    cadence,
    received_hour
{%- endmacro -%}

{#- The days of a run's own window, on which rows were received. -#}
{%- macro days_of_window() -%}
    {%- set window = received_window() -%}
    select toDate('{{ window.from[:10] }}') + number as occurred_date
    from numbers(toUInt64(dateDiff('day', toDate('{{ window.from[:10] }}'), toDate(toDateTime('{{ window.to }}', 'UTC') - 1))) + 1)
{%- endmacro -%}
