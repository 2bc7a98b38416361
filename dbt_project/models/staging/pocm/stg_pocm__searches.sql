{# Generated from ingestion/contracts by `millrace contracts generate`; do not edit. #}
with

source as (
    select *
    from {{ source('raw', 'events') }}
    where
        source = 'pocm'
        and event_type in ('SEARCH')
        and not is_duplicate
),

typed as (
    select
        *,
        JSONExtract(
            payload,
            'Tuple(
                search_id String,
                query String,
                results_count Int64,
                channel Nullable(String),
                latency_ms Nullable(Int64)
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
    tupleElement(parsed, 'search_id') as search_id,
    tupleElement(parsed, 'query') as query,
    tupleElement(parsed, 'results_count') as results_count,
    tupleElement(parsed, 'channel') as channel,
    tupleElement(parsed, 'latency_ms') as latency_ms
from typed
