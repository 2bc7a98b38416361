{# Generated from ingestion/contracts by `millrace contracts generate`; do not edit. #}
with

source as (
    select *
    from {{ source('raw', 'events') }}
    where
        source = 'pocm'
        and event_type in ('ORDER_PLACED')
        and not is_duplicate
),

typed as (
    select
        *,
        JSONExtract(
            payload,
            'Tuple(
                order_id String,
                cart_id Nullable(String),
                amount Decimal(18, 4),
                currency String,
                channel Nullable(String),
                region Nullable(String),
                city Nullable(String),
                promotion_code Nullable(String),
                affiliate_id Nullable(String),
                discount_amount Nullable(Decimal(18, 4)),
                shipping_amount Nullable(Decimal(18, 4)),
                tax_amount Nullable(Decimal(18, 4)),
                items Array(Tuple(
                    product_id String,
                    batch_id Nullable(String),
                    quantity Int64,
                    unit_price Decimal(18, 4),
                    unit_cost Nullable(Decimal(18, 4))
                ))
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
    tupleElement(parsed, 'cart_id') as cart_id,
    tupleElement(parsed, 'amount') as amount,
    tupleElement(parsed, 'currency') as currency,
    tupleElement(parsed, 'channel') as channel,
    tupleElement(parsed, 'region') as region,
    tupleElement(parsed, 'city') as city,
    tupleElement(parsed, 'promotion_code') as promotion_code,
    tupleElement(parsed, 'affiliate_id') as affiliate_id,
    tupleElement(parsed, 'discount_amount') as discount_amount,
    tupleElement(parsed, 'shipping_amount') as shipping_amount,
    tupleElement(parsed, 'tax_amount') as tax_amount,
    tupleElement(parsed, 'items') as items
from typed
