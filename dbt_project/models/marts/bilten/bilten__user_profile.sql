{{
    config(
        materialized='view',
        tags=['daily'],
    )
}}

with
days as (
    select
        *,
        arrayMap(weekday -> if(toDayOfWeek(day) = weekday, events, toUInt64(0)), range(1, 8)) as events_by_weekday
    from {{ ref('int_bilten__users_daily') }}
),

outcomes as (
    select * from {{ ref('int_bilten__user_outcomes_daily') }}
),

ticketed_events as (
    select
        tenant_id,
        ticketed_event_id,
        category
    from {{ ref('bilten__dim_events') }}
    where is_current
),

users as (
    select
        days.tenant_id,
        days.user_key,
        min(days.first_seen_at) as first_seen_at,
        max(days.last_seen_at) as last_seen_at,
        sum(days.page_views) as page_views,
        arraySort(arrayDistinct(arrayFlatten(groupArray(days.device_types)))) as device_types,
        arraySort(arrayDistinct(arrayFlatten(groupArray(days.browsers)))) as browsers,
        uniqExactArray(days.ticketed_events_viewed) as ticketed_events_viewed,
        sumForEach(days.events_by_hour) as activity_by_hour,
        sumForEach(days.events_by_weekday) as activity_by_weekday
    from days
    group by
        days.tenant_id,
        days.user_key
),

of_any_currency as (
    select
        outcomes.tenant_id,
        outcomes.user_key,
        sum(outcomes.sessions) as sessions,
        sum(outcomes.session_ms) as session_ms,
        sum(outcomes.registrations) as registrations
    from outcomes
    group by
        outcomes.tenant_id,
        outcomes.user_key
),

bought as (
    select
        outcomes.tenant_id,
        outcomes.user_key,
        outcomes.currency,
        cast(sum(outcomes.spent), 'Decimal(18, 4)') as spent,
        sum(outcomes.orders) as orders,
        sum(outcomes.tickets) as tickets
    from outcomes
    where outcomes.orders > 0
    group by
        outcomes.tenant_id,
        outcomes.user_key,
        outcomes.currency
),

named as (
    select
        tenant_id,
        user_key,
        tupleElement(naming, 1) as ticketed_event_id,
        tupleElement(naming, 2) as times
    from days
    array join cast(ticketed_events_named, 'Array(Tuple(String, UInt64))') as naming
),

named_categories as (
    select
        named.tenant_id as tenant_id,  -- noqa: AL09
        named.user_key,
        ticketed_events.category,
        sum(named.times) as times
    from named
    inner join ticketed_events
        on named.tenant_id = ticketed_events.tenant_id and named.ticketed_event_id = ticketed_events.ticketed_event_id
    group by
        tenant_id,
        named.user_key,
        ticketed_events.category
),

preferences as (
    select
        tenant_id,
        user_key,
        arraySlice(
            arrayMap(
                counted -> tupleElement(counted, 2),
                arraySort(groupArray((-toInt64(times), category)))
            ),
            1,
            3
        ) as preferred_categories
    from named_categories
    group by
        tenant_id,
        user_key
)

select
    users.tenant_id as tenant_id,  -- noqa: AL09
    users.user_key as user_key,  -- noqa: AL09
    if(bought.currency = '', 'XXX', bought.currency) as currency,
    of_any_currency.sessions,
    of_any_currency.session_ms,
    {{ ratio('of_any_currency.session_ms / 1000', 'of_any_currency.sessions') }} as average_session_seconds,
    users.first_seen_at,
    users.last_seen_at,
    toDate(users.last_seen_at) as last_seen_on,
    users.device_types,
    users.browsers,
    users.page_views,
    users.ticketed_events_viewed,
    of_any_currency.registrations,
    bought.orders,
    bought.tickets,
    bought.spent,
    {{ money_per('bought.spent', 'bought.orders') }} as average_order_value,
    preferences.preferred_categories,
    users.activity_by_hour,
    users.activity_by_weekday
from users
left join of_any_currency
    on users.tenant_id = of_any_currency.tenant_id and users.user_key = of_any_currency.user_key
left join bought on users.tenant_id = bought.tenant_id and users.user_key = bought.user_key
left join preferences on users.tenant_id = preferences.tenant_id and users.user_key = preferences.user_key
