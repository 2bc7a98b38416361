with
attempts as (
    select
        tenant_id,
        cast(occurred_at as date) as day,
        gateway,
        method,
        currency,
        count(*) filter (captured) as captured,
        count(*) filter (not captured) as failed,
        coalesce(sum(amount) filter (captured), 0) as captured_amount,
        list_sort(list(latency_ms) filter (latency_ms is not null)) as latencies,
        count(*) filter (risk_score < 0.3) as risk_low,
        count(*) filter (risk_score >= 0.3 and risk_score < 0.7) as risk_medium,
        count(*) filter (risk_score >= 0.7) as risk_high,
        count(*) filter (risk_score is null) as risk_unknown
    from payments
    group by all
),

returned as (
    select
        tenant_id,
        cast(occurred_at as date) as day,
        gateway,
        method,
        currency,
        count(*) filter (not is_partial) as refunds_full,
        count(*) filter (is_partial) as refunds_partial,
        sum(amount) as refund_amount
    from refunds
    group by all
),

disputed as (
    select
        claim.tenant_id,
        cast(claim.occurred_at as date) as day,
        coalesce(paid.gateway, 'unknown') as gateway,
        coalesce(paid.method, 'unknown') as method,
        claim.currency,
        count(*) as chargebacks
    from shop_events as claim
    left join payments as paid
        on
            claim.tenant_id = paid.tenant_id
            and claim.payment_id = paid.payment_id
            and paid.is_first_capture
    where claim.event_type = 'CHARGEBACK_OPENED'
    group by all
)

select
    tenant_id,
    day,
    gateway,
    method,
    currency,
    coalesce(captured, 0) as captured,
    coalesce(failed, 0) as failed,
    ratio(coalesce(captured, 0), coalesce(captured + failed, 0)) as success_rate,
    coalesce(captured_amount, 0) as captured_amount,
    latencies[1 + cast(floor(cast(0.5 as double) * len(latencies)) as bigint)] as latency_p50_ms,
    latencies[1 + cast(floor(cast(0.95 as double) * len(latencies)) as bigint)] as latency_p95_ms,
    latencies[1 + cast(floor(cast(0.99 as double) * len(latencies)) as bigint)] as latency_p99_ms,
    coalesce(risk_low, 0) as risk_low,
    coalesce(risk_medium, 0) as risk_medium,
    coalesce(risk_high, 0) as risk_high,
    coalesce(risk_unknown, 0) as risk_unknown,
    coalesce(refunds_full, 0) as refunds_full,
    coalesce(refunds_partial, 0) as refunds_partial,
    coalesce(refund_amount, 0) as refund_amount,
    coalesce(chargebacks, 0) as chargebacks
from attempts
full join returned using (tenant_id, day, gateway, method, currency)
full join disputed using (tenant_id, day, gateway, method, currency)
