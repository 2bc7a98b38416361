{# Generated from ingestion/contracts by `millrace contracts generate`; do not edit. #}
with

source as (
    select *
    from {{ source('raw', 'events') }}
    where
        source = 'studyin'
        and event_type in ('material_complete', 'material_view')
        and not is_duplicate
),

typed as (
    select
        *,
        JSONExtract(
            payload,
            'Tuple(
                material_id String,
                material_type String,
                duration_s Nullable(Int64),
                score Nullable(Float64),
                clicks Nullable(Int64)
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
    tupleElement(parsed, 'material_id') as material_id,
    tupleElement(parsed, 'material_type') as material_type,
    tupleElement(parsed, 'duration_s') as duration_s,
    tupleElement(parsed, 'score') as score,
    tupleElement(parsed, 'clicks') as clicks
from typed
