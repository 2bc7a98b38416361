{# Generated from ingestion/contracts by `millrace contracts generate`; do not edit. #}
with

source as (
    select *
    from {{ source('raw', 'events') }}
    where
        source = 'bilten'
        and event_type in ('organizers')
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
                organizer_id String,
                name String,
                country Nullable(String),
                city Nullable(String),
                plan Nullable(String),
                organizer_status Nullable(String),
                created_at Nullable(DateTime64(3, ''UTC''))
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
    tupleElement(parsed, 'organizer_id') as organizer_id,
    tupleElement(parsed, 'name') as name,
    tupleElement(parsed, 'country') as country,
    tupleElement(parsed, 'city') as city,
    tupleElement(parsed, 'plan') as plan,
    tupleElement(parsed, 'organizer_status') as organizer_status,
    tupleElement(parsed, 'created_at') as created_at
from typed
