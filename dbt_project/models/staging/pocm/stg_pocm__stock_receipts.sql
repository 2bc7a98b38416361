{# Generated from ingestion/contracts by `millrace contracts generate`; do not edit. #}
with

source as (
    select *
    from {{ source('raw', 'events') }}
    where
        source = 'pocm'
        and event_type in ('STOCK_RECEIVED')
        and not is_duplicate
),

typed as (
    select
        *,
        JSONExtract(
            payload,
            'Tuple(
                product_id String,
                warehouse_id String,
                batch_id String,
                quantity Int64,
                unit_cost Decimal(18, 4),
                currency Nullable(String),
                expires_on Nullable(Date32),
                supplier Nullable(String)
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
    tupleElement(parsed, 'product_id') as product_id,
    tupleElement(parsed, 'warehouse_id') as warehouse_id,
    tupleElement(parsed, 'batch_id') as batch_id,
    tupleElement(parsed, 'quantity') as quantity,
    tupleElement(parsed, 'unit_cost') as unit_cost,
    tupleElement(parsed, 'currency') as currency,
    tupleElement(parsed, 'expires_on') as expires_on,
    tupleElement(parsed, 'supplier') as supplier
from typed
