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
events as (
    {% for entity in ['user_actions', 'business_events', 'custom_events'] -%}
    select
        tenant_id,
        event_type,
        occurred_at,
        user_key,
        JSONExtractString(attributes, 'name') as name
    from {{ ref('stg_insights__' ~ entity) }}
    where {{ is_touched_event() }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select
    tenant_id,
    toStartOfHour(occurred_at) as hour,
    event_type,
    name,
    count() as events,
    uniqExact(user_key) as users
from events
group by
    tenant_id,
    hour,
    event_type,
    name
