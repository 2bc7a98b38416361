{{
    config(
        materialized='partition_replace',
        date_column='month',
        partition='month',
        order_by=['tenant_id', 'month', 'currency'],
        touched_query='bilten_months_touched',
        tags=['monthly'],
    )
}}

with
days as (
    select * from {{ ref('bilten__kpi_daily') }}
    where
        {{ is_touched('day') }}
        or {{ is_touched('toDate(addMonths(toStartOfMonth(day), 1))') }}
),

sessions as (
    select * from {{ ref('bilten__fact_sessions') }}
    where
        {{ is_touched('session_date') }}
        and not is_bot
),

users as (
    select * from {{ ref('int_bilten__users_daily') }}
    where {{ is_touched('day') }}
),

summed as (
    select
        days.tenant_id,
        days.currency,
        cast(sum(days.revenue), 'Decimal(18, 4)') as revenue,
        toStartOfMonth(days.day) as month,
        sum(days.sessions) as sessions,
        sum(days.converted_sessions) as converted_sessions,
        sum(days.page_views) as page_views,
        sum(days.clicks) as clicks,
        sum(days.registrations) as registrations,
        sum(days.orders) as orders,
        sum(days.tickets) as tickets
    from days
    group by
        days.tenant_id,
        month,
        days.currency
),

lengths as (
    select
        tenant_id,
        currency,
        toStartOfMonth(session_date) as month,
        sum(duration_ms) as session_ms
    from sessions
    group by
        tenant_id,
        month,
        currency
),

user_months as (
    select
        tenant_id,
        user_key,
        toStartOfMonth(day) as month,
        coalesce(argMinIf(named_currency, day, named_currency is not null), 'XXX') as currency
    from users
    group by
        tenant_id,
        month,
        user_key
),

actives as (
    select
        tenant_id,
        month,
        currency,
        count() as mau
    from user_months
    group by
        tenant_id,
        month,
        currency
),

before as (
    select
        summed.tenant_id,
        summed.currency,
        summed.revenue as revenue_before,
        toDate(addMonths(month, 1)) as month
    from summed
),

joined as (
    select
        summed.tenant_id as tenant_id,  -- noqa: AL09
        summed.month as month,  -- noqa: AL09
        summed.currency as currency,  -- noqa: AL09
        actives.mau,
        summed.sessions,
        summed.converted_sessions,
        summed.page_views,
        summed.clicks,
        lengths.session_ms,
        summed.registrations,
        summed.orders,
        summed.tickets,
        summed.revenue,
        before.revenue_before
    from summed
    left join actives
        on
            summed.tenant_id = actives.tenant_id
            and summed.month = actives.month
            and summed.currency = actives.currency
    left join lengths
        on
            summed.tenant_id = lengths.tenant_id
            and summed.month = lengths.month
            and summed.currency = lengths.currency
    left join before
        on
            summed.tenant_id = before.tenant_id
            and summed.month = before.month
            and summed.currency = before.currency
)

select
    tenant_id,
    month,
    currency,
    mau,
    sessions,
    converted_sessions,
    page_views,
    clicks,
    session_ms,
    registrations,
    orders,
    tickets,
    revenue,
    revenue_before,
    {{ ratio('converted_sessions', 'sessions') }} as conversion_rate,
    {{ ratio('session_ms / 1000', 'sessions') }} as average_session_seconds,
    {{ money_per('revenue', 'orders') }} as average_order_value,
    if(revenue_before = 0, null, toFloat64(revenue - revenue_before) / toFloat64(revenue_before)) as revenue_growth
from joined
