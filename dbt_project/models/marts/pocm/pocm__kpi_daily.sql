{{
    config(
        materialized='partition_replace',
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'day', 'currency'],
        touched_by=['session', 'order', 'cart', 'payment', 'shipment'],
        touched_query='pocm_kpi_daily_touched',
        tags=['daily'],
    )
}}

-- What decides which days are touched:
-- depends_on: {{ ref('int_pocm__events_counted') }}
-- depends_on: {{ ref('int_pocm__prescriptions_assigned') }}

{{ pocm_kpis('day', 'toDate(%s)') }}
