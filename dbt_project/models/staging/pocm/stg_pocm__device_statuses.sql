{# Generated from ingestion/contracts by `millrace contracts generate`; do not edit. #}
with

source as (
    select *
    from {{ source('raw', 'events') }}
    where
        source = 'pocm'
        and event_type in ('DEVICE_STATUS')
        and not is_duplicate
),

typed as (
    select
        *,
        JSONExtract(
            payload,
            'Tuple(
                status String,
                battery_pct Float64,
                firmware_version String,
                error_code Nullable(String)
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
    tupleElement(parsed, 'status') as status,
    tupleElement(parsed, 'battery_pct') as battery_pct,
    tupleElement(parsed, 'firmware_version') as firmware_version,
    tupleElement(parsed, 'error_code') as error_code
from typed
