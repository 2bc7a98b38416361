{# Generated from ingestion/contracts by `millrace contracts generate`; do not edit. #}
with

source as (
    select *
    from {{ source('raw', 'events') }}
    where
        source = 'pocm'
        and event_type in ('CONSENT_CHANGED')
        and not is_duplicate
),

typed as (
    select
        *,
        JSONExtract(
            payload,
            'Tuple(
                purpose String,
                granted Bool,
                channel Nullable(String),
                policy_version Nullable(String)
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
    tupleElement(parsed, 'purpose') as purpose,
    tupleElement(parsed, 'granted') as granted,
    tupleElement(parsed, 'channel') as channel,
    tupleElement(parsed, 'policy_version') as policy_version
from typed
