{# Generated from ingestion/contracts by `millrace contracts generate`; do not edit. #}
with

source as (
    select *
    from {{ source('raw', 'events') }}
    where
        source = 'studyin'
        and event_type in ('session_end', 'session_start')
        and not is_duplicate
),

typed as (
    select
        *,
        JSONExtract(
            payload,
            'Tuple(
                duration_s Nullable(Int64),
                xp Nullable(Int64),
                material_id Nullable(String),
                platform Nullable(String)
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
    tupleElement(parsed, 'duration_s') as duration_s,
    tupleElement(parsed, 'xp') as xp,
    tupleElement(parsed, 'material_id') as material_id,
    tupleElement(parsed, 'platform') as platform
from typed
