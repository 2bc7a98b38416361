{{
    config(
        materialized='partition_replace',
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'path', 'day'],
        tags=['daily'],
    )
}}

{{ studyin_requests('day', 'toDate(hours.hour)') }}
