{{
    config(
        materialized='partition_replace',
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'name', 'day', 'dimensions_text'],
        touched_query='insights_metrics_touched',
        tags=['daily'],
    )
}}

-- What decides which days are touched:
-- depends_on: {{ ref('int_insights__counters_daily') }}

{{ insights_rollup('insights__metric_values_hour', 'hour', 'day', 'toDate(parts.hour)') }}
