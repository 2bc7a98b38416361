{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='day',
        partition='month',
        order_by=['event_type', 'day', 'tenant_id'],
        tags=['hourly'],
    )
}}

with
events as (
    select * from {{ ref('stg_pocm__events') }}
    where {{ is_touched_event() }}
)

select
    tenant_id,
    event_type,
    occurred_date as day,
    count() as events
from events
group by
    tenant_id,
    event_type,
    occurred_date
