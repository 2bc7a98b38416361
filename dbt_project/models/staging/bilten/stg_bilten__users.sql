{# Generated from ingestion/contracts by `millrace contracts generate`; do not edit. #}
with

source as (
    select *
    from {{ source('raw', 'events') }}
    where
        source = 'bilten'
        and event_type in ('users')
        and not is_duplicate
),

typed as (
    select
        *,
        JSONExtract(
            payload,
            'Tuple(
                version Int64,
                operation Nullable(String),
                email Nullable(String),
                organizer_id Nullable(String),
                country Nullable(String),
                city Nullable(String),
                language Nullable(String),
                signup_channel Nullable(String),
                signup_campaign_id Nullable(String),
                has_marketing_consent Nullable(Bool),
                user_status Nullable(String),
                registered_at Nullable(DateTime64(3, ''UTC''))
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
    tupleElement(parsed, 'version') as version,
    tupleElement(parsed, 'operation') as operation,
    tupleElement(parsed, 'email') as email,
    tupleElement(parsed, 'organizer_id') as organizer_id,
    tupleElement(parsed, 'country') as country,
    tupleElement(parsed, 'city') as city,
    tupleElement(parsed, 'language') as language,
    tupleElement(parsed, 'signup_channel') as signup_channel,
    tupleElement(parsed, 'signup_campaign_id') as signup_campaign_id,
    tupleElement(parsed, 'has_marketing_consent') as has_marketing_consent,
    tupleElement(parsed, 'user_status') as user_status,
    tupleElement(parsed, 'registered_at') as registered_at
from typed
