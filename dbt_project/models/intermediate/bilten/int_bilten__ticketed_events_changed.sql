{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='changed_date',
        partition='month',
        order_by=['tenant_id', 'ticketed_event_id', 'version', 'changed_at', 'event_id'],
        index_granularity=256,
        tags=['hourly'],
    )
}}

with
changes as (
    select * from {{ ref('stg_bilten__ticketed_events') }}
    where {{ is_touched_event() }}
)

select
    tenant_id,
    ticketed_event_id,
    version,
    occurred_date as changed_date,
    occurred_at as changed_at,
    event_id,
    organizer_id,
    name as event_name,
    category,
    venue,
    city,
    country,
    starts_at,
    ends_at,
    capacity,
    event_status,
    price,
    currency,
    published_at,
    toBool(coalesce(operation = 'delete', false)) as is_deleted
from changes
