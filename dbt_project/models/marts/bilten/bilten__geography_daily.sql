{{
    config(
        materialized='partition_replace',
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'day', 'country', 'city', 'currency'],
        touched_by=['session', 'visit', 'order'],
        tags=['daily'],
    )
}}

{{ bilten_figures('day', 'toDate(%s)', 'users', ['country', 'city']) }}
