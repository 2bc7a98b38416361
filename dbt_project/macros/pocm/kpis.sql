{#- The KPIs of one unit of time. `moment` is a template whose %s is the time of a fact. -#}
{%- macro pocm_kpis(period, moment) -%}
with
orders as (
    select * from {{ ref('pocm__fact_orders') }}
    where {{ is_touched('order_date') }}
),

sessions as (
    select * from {{ ref('pocm__fact_sessions') }}
    where {{ is_touched('session_date') }}
),

payments as (
    select * from {{ ref('pocm__fact_payments') }}
    where {{ is_touched('payment_date') }}
),

refunds as (
    select * from {{ ref('pocm__fact_refunds') }}
    where {{ is_touched('refund_date') }}
),

searches as (
    select * from {{ ref('pocm__fact_searches') }}
    where {{ is_touched('search_date') }}
),

carts as (
    select * from {{ ref('int_pocm__carts_followed') }}
    where {{ is_touched('created_date') }}
),

returned as (
    select * from {{ ref('pocm__fact_returns') }}
    where {{ is_touched('return_date') }}
),

shipments as (
    select * from {{ ref('pocm__fact_shipments') }}
    where
        {{ is_touched('shipment_date') }}
        and created_at is not null
),

device_hours as (
    select * from {{ ref('int_pocm__device_hours') }}
    where {{ is_touched('toDate(hour)') }}
),

adverse_events as (
    select * from {{ ref('pocm__fact_adverse_events') }}
    where {{ is_touched('reported_date') }}
),
{%- if period == 'day' %}

patch_days as (
    select * from {{ ref('int_pocm__patch_days') }}
    where {{ is_touched('day') }}
),
{%- endif %}

facts as (
    select
        tenant_id,
        {{ moment | replace('%s', 'placed_at') }} as {{ period }},
        currency,
        'order' as fact,
        amount,
        items,
        user_key as subject,
        is_refunded as is_marked
    from orders
    union all
    select
        tenant_id,
        {{ moment | replace('%s', 'started_at') }} as {{ period }},
        currency,
        'session' as fact,
        toDecimal64(0, 4) as amount,
        toUInt64(0) as items,
        cast(null, 'Nullable(String)') as subject,
        false as is_marked
    from sessions
    union all
    select
        tenant_id,
        {{ moment | replace('%s', 'attempted_at') }} as {{ period }},
        currency,
        'payment' as fact,
        amount,
        toUInt64(0) as items,
        cast(null, 'Nullable(String)') as subject,
        is_captured as is_marked
    from payments
    union all
    select
        tenant_id,
        {{ moment | replace('%s', 'refunded_at') }} as {{ period }},
        currency,
        'refund' as fact,
        amount,
        toUInt64(0) as items,
        cast(null, 'Nullable(String)') as subject,
        false as is_marked
    from refunds
    union all
    select
        tenant_id,
        {{ moment | replace('%s', 'searched_at') }} as {{ period }},
        currency,
        'search' as fact,
        toDecimal64(0, 4) as amount,
        toUInt64(0) as items,
        cast(null, 'Nullable(String)') as subject,
        is_zero_result as is_marked
    from searches
    union all
    select
        tenant_id,
        {{ moment | replace('%s', 'created_at') }} as {{ period }},
        currency,
        'cart' as fact,
        toDecimal64(0, 4) as amount,
        toUInt64(0) as items,
        cast(null, 'Nullable(String)') as subject,
        is_abandoned as is_marked
    from carts
    union all
    select
        tenant_id,
        {{ moment | replace('%s', 'placed_at') }} as {{ period }},
        currency,
        'item returned' as fact,
        toDecimal64(0, 4) as amount,
        items_returned as items,
        cast(null, 'Nullable(String)') as subject,
        false as is_marked
    from orders
    union all
    select
        tenant_id,
        {{ moment | replace('%s', 'returned_at') }} as {{ period }},
        currency,
        'return' as fact,
        toDecimal64(0, 4) as amount,
        toUInt64(quantity) as items,
        cast(null, 'Nullable(String)') as subject,
        false as is_marked
    from returned
    union all
    select
        tenant_id,
        {{ moment | replace('%s', 'assumeNotNull(created_at)') }} as {{ period }},
        currency,
        'shipment' as fact,
        toDecimal64(0, 4) as amount,
        toUInt64(0) as items,
        cast(null, 'Nullable(String)') as subject,
        is_returned_to_origin as is_marked
    from shipments
    union all
    select
        tenant_id,
        {{ moment | replace('%s', 'hour') }} as {{ period }},
        'XXX' as currency,
        'device' as fact,
        toDecimal64(0, 4) as amount,
        toUInt64(0) as items,
        toNullable(device_id) as subject,
        false as is_marked
    from device_hours
    union all
    select
        tenant_id,
        {{ moment | replace('%s', 'reported_at') }} as {{ period }},
        'XXX' as currency,
        'adverse event' as fact,
        toDecimal64(0, 4) as amount,
        toUInt64(0) as items,
        cast(null, 'Nullable(String)') as subject,
        false as is_marked
    from adverse_events
    {%- if period == 'day' %}
    union all
    select
        tenant_id,
        day,
        'XXX' as currency,
        'patch day' as fact,
        toDecimal64(0, 4) as amount,
        toUInt64(0) as items,
        cast(null, 'Nullable(String)') as subject,
        has_valid_patch as is_marked
    from patch_days
    {%- endif %}
),

counted as (
    select
        tenant_id,
        {{ period }},
        currency,
        cast(sumIf(amount, fact = 'order'), 'Decimal(18, 4)') as gmv,
        countIf(fact = 'order') as orders,
        accurateCast(sumIf(toUInt128(items), fact = 'order'), 'UInt64') as items_sold,
        uniqExactIf(subject, fact = 'order' and subject is not null) as unique_purchasers,
        countIf(fact = 'session') as sessions,
        countIf(fact = 'payment' and is_marked) as payments_captured,
        countIf(fact = 'payment' and not is_marked) as payments_failed,
        cast(sumIf(amount, fact = 'payment' and is_marked), 'Decimal(18, 4)') as payments_captured_amount,
        countIf(fact = 'refund') as refunds,
        cast(sumIf(amount, fact = 'refund'), 'Decimal(18, 4)') as refund_amount,
        countIf(fact = 'order' and is_marked) as orders_refunded,
        countIf(fact = 'search') as searches,
        countIf(fact = 'search' and is_marked) as zero_result_searches,
        countIf(fact = 'cart') as carts_created,
        countIf(fact = 'cart' and is_marked) as carts_abandoned,
        sumIf(items, fact = 'return') as returns,
        sumIf(items, fact = 'item returned') as items_returned,
        countIf(fact = 'shipment') as shipments,
        countIf(fact = 'shipment' and is_marked) as rto,
        uniqExactIf(subject, fact = 'device') as active_devices,
        countIf(fact = 'adverse event') as adverse_events,
        {%- if period == 'day' %}
        countIf(fact = 'patch day') as patch_days_prescribed,
        countIf(fact = 'patch day' and is_marked) as patch_days_valid
        {%- else %}
        -- A prescription covers days; an hour has none of its own.
        cast(null, 'Nullable(UInt64)') as patch_days_prescribed,
        cast(null, 'Nullable(UInt64)') as patch_days_valid
        {%- endif %}
    from facts
    group by
        tenant_id,
        {{ period }},
        currency
)

select
    tenant_id,
    {{ period }},
    currency,
    gmv,
    orders,
    items_sold,
    unique_purchasers,
    sessions,
    payments_captured,
    payments_failed,
    payments_captured_amount,
    refunds,
    refund_amount,
    orders_refunded,
    searches,
    zero_result_searches,
    carts_created,
    carts_abandoned,
    returns,
    items_returned,
    shipments,
    rto,
    active_devices,
    adverse_events,
    patch_days_prescribed,
    patch_days_valid,
    {{ ratio('payments_captured', 'sessions') }} as conversion_rate,
    {{ money_per('gmv', 'orders') }} as aov,
    {{ money_per('gmv', 'unique_purchasers') }} as arpu,
    {{ ratio('payments_captured', '(payments_captured + payments_failed)') }} as payment_success_rate,
    {{ ratio('orders_refunded', 'orders') }} as refund_rate,
    {{ ratio('zero_result_searches', 'searches') }} as zero_result_rate,
    {{ ratio('carts_abandoned', 'carts_created') }} as cart_abandonment_rate,
    {{ ratio('items_returned', 'items_sold') }} as return_rate,
    {{ ratio('rto', 'shipments') }} as rto_rate,
    {{ ratio('patch_days_valid', 'patch_days_prescribed') }} as device_adherence,
    {{ ratio('adverse_events', 'active_devices') }} as adverse_event_rate
from counted
{%- endmacro -%}
