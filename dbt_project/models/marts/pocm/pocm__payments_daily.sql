{{
    config(
        materialized='partition_replace',
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'day', 'gateway', 'method', 'currency'],
        touched_by=['payment'],
        tags=['daily'],
    )
}}

with
payments as (
    select * from {{ ref('pocm__fact_payments') }}
    where {{ is_touched('payment_date') }}
),

refunds as (
    select * from {{ ref('pocm__fact_refunds') }}
    where {{ is_touched('refund_date') }}
),

chargebacks as (
    select * from {{ ref('pocm__fact_chargebacks') }}
    where {{ is_touched('chargeback_date') }}
),

facts as (
    select
        tenant_id,
        payment_date as day,
        gateway,
        method,
        currency,
        outcome as fact,
        amount,
        latency_ms,
        risk_band
    from payments
    union all
    select
        tenant_id,
        refund_date as day,
        gateway,
        method,
        currency,
        if(is_partial, 'partial refund', 'full refund') as fact,
        amount,
        cast(null, 'Nullable(Int64)') as latency_ms,
        '' as risk_band
    from refunds
    union all
    select
        tenant_id,
        chargeback_date as day,
        gateway,
        method,
        currency,
        'chargeback' as fact,
        amount,
        cast(null, 'Nullable(Int64)') as latency_ms,
        '' as risk_band
    from chargebacks
),

counted as (
    select
        tenant_id,
        day,
        gateway,
        method,
        currency,
        cast(sumIf(amount, fact = 'captured'), 'Decimal(18, 4)') as captured_amount,
        cast(sumIf(amount, fact in ('full refund', 'partial refund')), 'Decimal(18, 4)') as refund_amount,
        countIf(fact = 'captured') as captured,
        countIf(fact = 'failed') as failed,
        -- sqlfluff parses no aggregate function that takes parameters.
        quantilesExactIf(0.5, 0.95, 0.99)(  -- noqa: PRS, AL03
            assumeNotNull(latency_ms), latency_ms is not null
        ) as latencies,
        countIf(latency_ms is not null) as timed,
        countIf(risk_band = 'low') as risk_low,
        countIf(risk_band = 'medium') as risk_medium,
        countIf(risk_band = 'high') as risk_high,
        countIf(risk_band = 'unknown') as risk_unknown,
        countIf(fact = 'full refund') as refunds_full,
        countIf(fact = 'partial refund') as refunds_partial,
        countIf(fact = 'chargeback') as chargebacks
    from facts
    group by
        tenant_id,
        day,
        gateway,
        method,
        currency
)

select
    tenant_id,
    day,
    gateway,
    method,
    currency,
    captured,
    failed,
    captured_amount,
    risk_low,
    risk_medium,
    risk_high,
    risk_unknown,
    refunds_full,
    refunds_partial,
    refund_amount,
    chargebacks,
    {{ ratio('captured', '(captured + failed)') }} as success_rate,
    if(timed = 0, null, latencies[1]) as latency_p50_ms,
    if(timed = 0, null, latencies[2]) as latency_p95_ms,
    if(timed = 0, null, latencies[3]) as latency_p99_ms
from counted
