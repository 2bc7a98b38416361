{{
    config(
        materialized='partition_replace',
        date_column='hour',
        order_by=['tenant_id', 'name', 'hour', 'dimensions_text'],
        touched_query='insights_metrics_touched',
        tags=['hourly'],
    )
}}

-- What decides which days are touched:
-- depends_on: {{ ref('int_insights__counters_daily') }}

{{ insights_rollup('insights__metric_values_minute', 'minute', 'hour', 'toStartOfHour(parts.minute)') }}
