{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'subject_key', 'day'],
        touched_by=['order'],
        tags=['daily'],
    )
}}

with
conversions as (
    select * from {{ ref('bilten__fact_conversions') }}
    where
        {{ is_touched('conversion_date') }}
        and not is_bot
        and (visitor_key is not null or session_id is not null)
)

select
    tenant_id,
    conversion_date as day,
    assumeNotNull(coalesce(visitor_key, session_id)) as subject_key,
    max(converted_at) as last_converted_at
from conversions
group by
    tenant_id,
    subject_key,
    day
