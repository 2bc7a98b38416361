{# Generated from ingestion/contracts by `millrace contracts generate`; do not edit. #}
with

source as (
    select *
    from {{ source('raw', 'events') }}
    where
        source = 'pocm'
        and event_type in ('PAYMENT_CAPTURED', 'PAYMENT_FAILED')
        and not is_duplicate
),

typed as (
    select
        *,
        JSONExtract(
            payload,
            'Tuple(
                payment_id String,
                order_id String,
                amount Decimal(18, 4),
                currency String,
                gateway String,
                method String,
                latency_ms Nullable(Int64),
                risk_score Nullable(Float64),
                failure_code Nullable(String),
                card_brand Nullable(String),
                attempt Nullable(Int64)
            )'
        ) as parsed
    from source
    where not throwIf(not isValidJSON(payload), 'a payload in raw.events is no JSON')
)

select
    event_id,
    event_type,
    contract_version,
    tenant_id,
    occurred_at,
    received_at,
    received_hour,
    user_key,
    session_id,
    device_id,
    trace_id,
    producer,
    load_id,
    row_number,
    toDate(occurred_at) as occurred_date,
    tupleElement(parsed, 'order_id') as order_id,
    tupleElement(parsed, 'payment_id') as payment_id,
    tupleElement(parsed, 'amount') as amount,
    tupleElement(parsed, 'currency') as currency,
    tupleElement(parsed, 'gateway') as gateway,
    tupleElement(parsed, 'method') as method,
    tupleElement(parsed, 'latency_ms') as latency_ms,
    tupleElement(parsed, 'risk_score') as risk_score,
    tupleElement(parsed, 'failure_code') as failure_code,
    tupleElement(parsed, 'card_brand') as card_brand,
    tupleElement(parsed, 'attempt') as attempt
from typed
