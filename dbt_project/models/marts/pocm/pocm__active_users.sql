{{
    config(
        materialized='partition_replace',
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'day'],
        touched_query='active_users_touched',
        tags=['daily'],
    )
}}

{{ active_users(ref('int_pocm__actives_daily')) }}
