{# Generated from ingestion/contracts by `millrace contracts generate`; do not edit. #}
with

source as (
    select *
    from {{ source('raw', 'events') }}
    where
        source = 'pocm'
        and event_type in ('PRESCRIPTION_ASSIGNED')
        and not is_duplicate
),

typed as (
    select
        *,
        JSONExtract(
            payload,
            'Tuple(
                prescription_id String,
                starts_on Date32,
                prescribed_days Int64,
                product_id Nullable(String)
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
    order_id,
    trace_id,
    producer,
    load_id,
    row_number,
    toDate(occurred_at) as occurred_date,
    tupleElement(parsed, 'prescription_id') as prescription_id,
    tupleElement(parsed, 'starts_on') as starts_on,
    tupleElement(parsed, 'prescribed_days') as prescribed_days,
    tupleElement(parsed, 'product_id') as product_id
from typed
