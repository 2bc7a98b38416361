{#- Latencies are kept as states, so that a day's percentiles are those of all its requests and not means of its hours'. -#}
{%- macro studyin_latency_columns(latencies, counted='1') -%}
    {%- for percentile in (50, 95, 99) %}
        {%- set element = latencies ~ '[' ~ loop.index ~ ']' %}
    {{ 'if(' ~ counted ~ ' = 0, null, ' ~ element ~ ')' if counted != '1' else element }} as latency_p{{ percentile }}_ms
        {{- ',' if not loop.last }}
    {%- endfor -%}
{%- endmacro -%}

{#- Requests by path and a unit of time, merged from the hours; `period` is the name of that unit, `moment` its SQL. -#}
{%- macro studyin_requests(period, moment) -%}
with
hours as (
    select * from {{ ref('int_studyin__request_hours') }}
    where {{ is_touched('toDate(hour)') }}
),

merged as (
    select
        hours.tenant_id,
        hours.path,
        {{ moment }} as {{ period }},
        sum(hours.requests) as requests,
        sum(hours.client_errors) as client_errors,
        sum(hours.server_errors) as server_errors,
        -- sqlfluff parses no aggregate function that takes parameters.
        quantilesExactMerge(0.5, 0.95, 0.99)(hours.latencies_state) as latencies  -- noqa: PRS
    from hours
    group by
        hours.tenant_id,
        hours.path,
        {{ period }}
)

select
    tenant_id,
    path,
    {{ period }},
    requests,
    client_errors,
    server_errors,
    {{ ratio('server_errors', 'requests') }} as error_rate,
    {{ ratio('client_errors', 'requests') }} as client_error_rate,
    {{- studyin_latency_columns('latencies') }}
from merged
{%- endmacro -%}
