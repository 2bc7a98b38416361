{# Generated from ingestion/contracts by `millrace contracts generate`; do not edit. #}
with

source as (
    select *
    from {{ source('raw', 'events') }}
    where
        source = 'pocm'
        and event_type in ('SHIPMENT_CREATED')
        and not is_duplicate
),

typed as (
    select
        *,
        JSONExtract(
            payload,
            'Tuple(
                shipment_id String,
                order_id String,
                warehouse_id String,
                region String,
                city String,
                carrier String,
                eta DateTime64(3, ''UTC'')
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
    tupleElement(parsed, 'shipment_id') as shipment_id,
    tupleElement(parsed, 'warehouse_id') as warehouse_id,
    tupleElement(parsed, 'region') as region,
    tupleElement(parsed, 'city') as city,
    tupleElement(parsed, 'carrier') as carrier,
    tupleElement(parsed, 'eta') as eta
from typed
