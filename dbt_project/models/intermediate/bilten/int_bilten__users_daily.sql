{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'user_key', 'day'],
        tags=['daily'],
    )
}}

with
events as (
    select * from {{ ref('bilten__fact_events') }}
    where
        {{ is_touched('event_date') }}
        and not is_bot
        and user_key is not null
)

select
    tenant_id,
    event_date as day,
    assumeNotNull(user_key) as user_key,
    min(occurred_at) as first_seen_at,
    max(occurred_at) as last_seen_at,
    argMinIf(currency, (occurred_at, event_id), currency is not null) as named_currency,
    count() as events,
    sumForEach(arrayMap(hour_of_day -> toUInt64(toHour(occurred_at) = hour_of_day), range(24))) as events_by_hour,
    countIf(event_type = 'page_view') as page_views,
    arraySort(groupUniqArrayIf(assumeNotNull(device_type), device_type is not null)) as device_types,
    arraySort(groupUniqArrayIf(assumeNotNull(browser), browser is not null)) as browsers,
    arraySort(
        groupUniqArrayIf(assumeNotNull(ticketed_event_id), event_type = 'page_view' and ticketed_event_id is not null)
    ) as ticketed_events_viewed,
    sumMapIf(
        map(assumeNotNull(ticketed_event_id), toUInt64(1)),
        event_type in ('page_view', 'click', 'conversion') and ticketed_event_id is not null
    ) as ticketed_events_named
from events
group by
    tenant_id,
    user_key,
    day
