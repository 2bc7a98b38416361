{{
    config(
        materialized='partition_replace',
        date_column='hour',
        partition='month',
        order_by=['tenant_id', 'hour', 'event_type', 'name'],
        tags=['hourly'],
    )
}}

with
user_actions as (
    select * from {{ ref('stg_insights__user_actions') }}
    where {{ is_touched_event() }}
),

business_events as (
    select * from {{ ref('stg_insights__business_events') }}
    where {{ is_touched_event() }}
),

custom_events as (
    select * from {{ ref('stg_insights__custom_events') }}
    where {{ is_touched_event() }}
),

events as (
    select
        tenant_id,
        event_type,
        occurred_at,
        user_key,
        attributes
    from user_actions
    union all
    select
        tenant_id,
        event_type,
        occurred_at,
        user_key,
        attributes
    from business_events
    union all
    select
        tenant_id,
        event_type,
        occurred_at,
        user_key,
        attributes
    from custom_events
)

select
    tenant_id,
    event_type,
    toStartOfHour(occurred_at) as hour,
    JSONExtractString(attributes, 'name') as name,
    count() as events,
    uniqExact(user_key) as users
from events
group by
    tenant_id,
    hour,
    event_type,
    name
