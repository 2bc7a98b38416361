{%- set starts = {'minute': 'minute', 'hour': 'hour', 'day': "toDateTime(day, 'UTC')"} -%}
{{ config(materialized='view', tags=['daily']) }}

{% for grain, period_start in starts.items() %}
    {% if not loop.first %}union all{% endif %}
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
        {{ period_start }} as period_start,
        '{{ grain }}' as grain
    from {{ ref('insights__metric_values_' ~ grain) }}
{% endfor %}
