{# Generated from ingestion/contracts by `millrace contracts generate`; do not edit. #}
with

source as (
    select *
    from {{ source('raw', 'events') }}
    where
        source = 'bilten'
        and event_type in ('ticketed_events')
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
                ticketed_event_id String,
                organizer_id String,
                name String,
                category String,
                venue String,
                city String,
                country String,
                starts_at DateTime64(3, ''UTC''),
                ends_at Nullable(DateTime64(3, ''UTC'')),
                capacity Int64,
                event_status Nullable(String),
                price Nullable(Decimal(18, 4)),
                currency Nullable(String),
                published_at Nullable(DateTime64(3, ''UTC'')),
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
    tupleElement(parsed, 'ticketed_event_id') as ticketed_event_id,
    tupleElement(parsed, 'organizer_id') as organizer_id,
    tupleElement(parsed, 'name') as name,
    tupleElement(parsed, 'category') as category,
    tupleElement(parsed, 'venue') as venue,
    tupleElement(parsed, 'city') as city,
    tupleElement(parsed, 'country') as country,
    tupleElement(parsed, 'starts_at') as starts_at,
    tupleElement(parsed, 'ends_at') as ends_at,
    tupleElement(parsed, 'capacity') as capacity,
    tupleElement(parsed, 'event_status') as event_status,
    tupleElement(parsed, 'price') as price,
    tupleElement(parsed, 'currency') as currency,
    tupleElement(parsed, 'published_at') as published_at,
    tupleElement(parsed, 'created_at') as created_at
from typed
