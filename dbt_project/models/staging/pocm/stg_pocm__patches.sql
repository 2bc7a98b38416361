{# Generated from ingestion/contracts by `millrace contracts generate`; do not edit. #}
with

source as (
    select *
    from {{ source('raw', 'events') }}
    where
        source = 'pocm'
        and event_type in ('PATCH_APPLIED')
        and not is_duplicate
),

typed as (
    select
        *,
        JSONExtract(
            payload,
            'Tuple(
                patch_id String,
                batch_id String,
                valid Bool,
                wear_minutes Int64,
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
    tupleElement(parsed, 'patch_id') as patch_id,
    tupleElement(parsed, 'batch_id') as batch_id,
    tupleElement(parsed, 'valid') as valid,
    tupleElement(parsed, 'wear_minutes') as wear_minutes,
    tupleElement(parsed, 'product_id') as product_id
from typed
