{# Generated from ingestion/contracts by `millrace contracts generate`; do not edit. #}
with

source as (
    select *
    from {{ source('raw', 'events') }}
    where
        source = 'pocm'
        and event_type in ('CHARGEBACK_OPENED')
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
                reason String,
                chargeback_id Nullable(String),
                gateway Nullable(String)
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
    tupleElement(parsed, 'reason') as reason,
    tupleElement(parsed, 'chargeback_id') as chargeback_id,
    tupleElement(parsed, 'gateway') as gateway
from typed
