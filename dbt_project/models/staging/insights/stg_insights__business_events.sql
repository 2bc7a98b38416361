{# Generated from ingestion/contracts by `millrace contracts generate`; do not edit. #}
with

source as (
    select *
    from {{ source('raw', 'events') }}
    where
        source = 'insights'
        and event_type in ('BUSINESS_EVENT')
        and not is_duplicate
),

typed as (
    select
        *,
        session_id as envelope_session_id,
        JSONExtract(
            payload,
            'Tuple(
                attributes String,
                metadata Tuple(
                    userAgent Nullable(String),
                    sessionId Nullable(String),
                    batchId Nullable(String)
                )
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
    device_id,
    order_id,
    trace_id,
    producer,
    load_id,
    row_number,
    toDate(occurred_at) as occurred_date,
    coalesce(tupleElement(tupleElement(parsed, 'metadata'), 'sessionId'), envelope_session_id) as session_id,
    tupleElement(parsed, 'attributes') as attributes,
    tupleElement(tupleElement(parsed, 'metadata'), 'userAgent') as user_agent,
    tupleElement(tupleElement(parsed, 'metadata'), 'batchId') as batch_id
from typed
