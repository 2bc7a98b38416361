{{
    config(
        materialized='partition_replace',
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'day', 'currency'],
        touched_by=['session', 'visit', 'order'],
        tags=['daily'],
    )
}}

{{ bilten_figures('day', 'toDate(%s)', 'dau') }}
