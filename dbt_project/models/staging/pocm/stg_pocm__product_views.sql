{# Generated from ingestion/contracts by `millrace contracts generate`; do not edit. #}
with

source as (
    select *
    from {{ source('raw', 'events') }}
    where
        source = 'pocm'
        and event_type in ('PRODUCT_VIEWED')
        and not is_duplicate
),

typed as (
    select
        *,
        JSONExtract(
            payload,
            'Tuple(
                product_id String,
                price Decimal(18, 4),
                currency String,
                channel Nullable(String),
                category Nullable(String),
                brand Nullable(String),
                referrer Nullable(String)
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
    tupleElement(parsed, 'price') as price,
    tupleElement(parsed, 'currency') as currency,
    tupleElement(parsed, 'channel') as channel,
    tupleElement(parsed, 'category') as category,
    tupleElement(parsed, 'brand') as brand,
    tupleElement(parsed, 'referrer') as referrer
from typed
