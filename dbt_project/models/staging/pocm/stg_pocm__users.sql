{# Generated from ingestion/contracts by `millrace contracts generate`; do not edit. #}
with

source as (
    select *
    from {{ source('raw', 'events') }}
    where
        source = 'pocm'
        and event_type in ('USER_REGISTERED')
        and not is_duplicate
),

typed as (
    select
        *,
        JSONExtract(
            payload,
            'Tuple(
                region String,
                city String,
                channel String,
                email Nullable(String),
                phone Nullable(String),
                referral_code Nullable(String)
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
    tupleElement(parsed, 'region') as region,
    tupleElement(parsed, 'city') as city,
    tupleElement(parsed, 'channel') as channel,
    tupleElement(parsed, 'email') as email,
    tupleElement(parsed, 'phone') as phone,
    tupleElement(parsed, 'referral_code') as referral_code
from typed
