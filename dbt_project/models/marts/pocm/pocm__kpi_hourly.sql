{{
    config(
        materialized='partition_replace',
        date_column='hour',
        partition='month',
        order_by=['tenant_id', 'hour', 'currency'],
        touched_by=['session', 'order', 'cart', 'payment', 'shipment'],
        tags=['hourly'],
    )
}}

{{ pocm_kpis('hour', 'toStartOfHour(%s)') }}
