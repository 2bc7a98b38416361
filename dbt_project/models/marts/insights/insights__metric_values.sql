{{ config(materialized='view', tags=['daily']) }}

{% for grain in ['minute', 'hour', 'day'] -%}
select
    tenant_id,
    name,
    type,
    unit,
    dimensions,
    dimensions_text,
    samples,
    count,
    sum,
    min,
    max,
    mean,
    last,
    first_at,
    last_at,
    resets,
    p50,
    p90,
    p95,
    p99,
    bucket_bounds,
    bucket_counts,
    summary_levels,
    summary_lows,
    summary_highs,
    quantiles_state,
    '{{ grain }}' as grain,
    {{ 'toDateTime(day, \'UTC\')' if grain == 'day' else grain }} as period_start
from {{ ref('insights__metric_values_' ~ grain) }}
{{- '\nunion all\n' if not loop.last }}
{%- endfor %}
