{# Generated from ingestion/contracts by `millrace contracts generate`; do not edit. #}
with

source as (
    select *
    from {{ source('raw', 'events') }}
    where
        source = 'pocm'
        and event_type in ('AFFILIATE_ATTRIBUTED')
        and not is_duplicate
),

typed as (
    select
        *,
        JSONExtract(
            payload,
            'Tuple(
                affiliate_id String,
                order_id String,
                commission Decimal(18, 4),
                currency String
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
    tupleElement(parsed, 'affiliate_id') as affiliate_id,
    tupleElement(parsed, 'commission') as commission,
    tupleElement(parsed, 'currency') as currency
from typed
