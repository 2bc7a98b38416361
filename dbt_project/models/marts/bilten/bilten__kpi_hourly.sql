{{
    config(
        materialized='partition_replace',
        date_column='hour',
        partition='month',
        order_by=['tenant_id', 'hour', 'currency'],
        touched_by=['session', 'visit', 'order'],
        tags=['hourly'],
    )
}}

{{ bilten_figures('hour', 'toStartOfHour(%s)', 'active_users') }}
