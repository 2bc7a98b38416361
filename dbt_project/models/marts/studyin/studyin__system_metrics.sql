{{
    config(
        materialized='partition_replace',
        date_column='hour',
        partition='month',
        order_by=['tenant_id', 'path', 'hour'],
        tags=['hourly'],
    )
}}

{{ studyin_requests('hour', 'hours.hour') }}
