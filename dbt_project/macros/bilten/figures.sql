{#- What an event names, or that it does not. -#}
{%- macro bilten_or_unknown(column) -%}
    coalesce({{ column }}, 'unknown')
{%- endmacro -%}

{#- The figures of one unit of time, and of whatever else tells rows apart.

    period: hour, day; moment: a template whose %s is the time of a fact; users_as: the column of distinct users;
    places: columns that are in the grain besides, as events, sessions and conversions name them. -#}
{%- macro bilten_figures(period, moment, users_as, places=[]) -%}
with
events as (
    select * from {{ ref('bilten__fact_events') }}
    where
        {{ is_touched('event_date') }}
        and not is_bot
),

sessions as (
    select * from {{ ref('bilten__fact_sessions') }}
    where
        {{ is_touched('session_date') }}
        and not is_bot
),

conversions as (
    select * from {{ ref('bilten__fact_conversions') }}
    where
        {{ is_touched('conversion_date') }}
        and not is_bot
),

users as (
    select
        tenant_id,
        {{ moment | replace('%s', 'occurred_at') }} as {{ period }},
        {%- for column in places %}
        {{ bilten_or_unknown('events.' ~ column) }} as {{ column }},
        {%- endfor %}
        user_key,
        argMinIf(currency, (occurred_at, event_id), currency is not null) as named_currency
    from events
    where user_key is not null
    group by
        tenant_id,
        {{ period }},
        {%- for column in places %}
        {{ column }},
        {%- endfor %}
        user_key
),

facts as (
    select
        tenant_id,
        {{ period }},
        {%- for column in places %}
        {{ column }},
        {%- endfor %}
        coalesce(named_currency, 'XXX') as currency,
        'user' as fact,
        toDecimal64(0, 4) as amount,
        toUInt64(1) as things
    from users
    union all
    select
        tenant_id,
        {{ moment | replace('%s', 'occurred_at') }} as {{ period }},
        {%- for column in places %}
        {{ bilten_or_unknown('events.' ~ column) }} as {{ column }},
        {%- endfor %}
        'XXX' as currency,
        event_type as fact,
        toDecimal64(0, 4) as amount,
        toUInt64(1) as things
    from events
    where event_type in ('page_view', 'click')
    union all
    select
        tenant_id,
        {{ moment | replace('%s', 'started_at') }} as {{ period }},
        {%- for column in places %}
        {{ bilten_or_unknown('sessions.' ~ column) }} as {{ column }},
        {%- endfor %}
        currency,
        if(is_converted, 'converted session', 'session') as fact,
        toDecimal64(0, 4) as amount,
        toUInt64(1) as things
    from sessions
    union all
    select
        tenant_id,
        {{ moment | replace('%s', 'converted_at') }} as {{ period }},
        {%- for column in places %}
        {{ bilten_or_unknown('conversions.' ~ column) }} as {{ column }},
        {%- endfor %}
        currency,
        event_name as fact,
        amount,
        tickets as things
    from conversions
    where event_name in ('registration', 'ticket_purchase')
),

counted as (
    select
        tenant_id,
        {{ period }},
        {%- for column in places %}
        {{ column }},
        {%- endfor %}
        currency,
        countIf(fact = 'user') as {{ users_as }},
        countIf(fact in ('session', 'converted session')) as sessions,
        countIf(fact = 'converted session') as converted_sessions,
        countIf(fact = 'page_view') as page_views,
        countIf(fact = 'click') as clicks,
        countIf(fact = 'registration') as registrations,
        countIf(fact = 'ticket_purchase') as orders,
        sumIf(things, fact = 'ticket_purchase') as tickets,
        cast(sumIf(amount, fact = 'ticket_purchase'), 'Decimal(18, 4)') as revenue
    from facts
    group by
        tenant_id,
        {{ period }},
        {%- for column in places %}
        {{ column }},
        {%- endfor %}
        currency
)

select
    tenant_id,
    {{ period }},
    {%- for column in places %}
    {{ column }},
    {%- endfor %}
    currency,
    {{ users_as }},
    sessions,
    converted_sessions,
    page_views,
    clicks,
    registrations,
    orders,
    tickets,
    revenue,
    {{ ratio('converted_sessions', 'sessions') }} as conversion_rate,
    {{ money_per('revenue', 'orders') }} as average_order_value
from counted
{%- endmacro -%}
