{# Generated from ingestion/contracts by `millrace contracts generate`; do not edit. #}
with

source as (
    select *
    from {{ source('raw', 'events') }}
    where
        source = 'bilten'
        and event_type in ('click', 'conversion', 'custom', 'page_view')
        and not is_duplicate
),

typed as (
    select
        *,
        order_id as envelope_order_id,
        JSONExtract(
            payload,
            'Tuple(
                event_name Nullable(String),
                page Nullable(String),
                referrer Nullable(String),
                user_agent Nullable(String),
                ip Nullable(String),
                visitor_id Nullable(String),
                organizer_id Nullable(String),
                ticketed_event_id Nullable(String),
                campaign_id Nullable(String),
                channel Nullable(String),
                country Nullable(String),
                city Nullable(String),
                language Nullable(String),
                device_type Nullable(String),
                browser Nullable(String),
                is_bot Nullable(Bool),
                element Nullable(String),
                target_url Nullable(String),
                order_id Nullable(String),
                tickets Nullable(Int64),
                amount Nullable(Decimal(18, 4)),
                currency Nullable(String),
                ticket_type Nullable(String),
                payment_method Nullable(String),
                experiment Nullable(String),
                variant Nullable(String),
                http_method Nullable(String),
                http_status Nullable(Int64),
                response_bytes Nullable(Int64)
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
    coalesce(tupleElement(parsed, 'order_id'), envelope_order_id) as order_id,
    tupleElement(parsed, 'event_name') as event_name,
    tupleElement(parsed, 'page') as page,
    tupleElement(parsed, 'referrer') as referrer,
    tupleElement(parsed, 'user_agent') as user_agent,
    tupleElement(parsed, 'ip') as ip,
    tupleElement(parsed, 'visitor_id') as visitor_id,
    tupleElement(parsed, 'organizer_id') as organizer_id,
    tupleElement(parsed, 'ticketed_event_id') as ticketed_event_id,
    tupleElement(parsed, 'campaign_id') as campaign_id,
    tupleElement(parsed, 'channel') as channel,
    tupleElement(parsed, 'country') as country,
    tupleElement(parsed, 'city') as city,
    tupleElement(parsed, 'language') as language,
    tupleElement(parsed, 'device_type') as device_type,
    tupleElement(parsed, 'browser') as browser,
    tupleElement(parsed, 'is_bot') as is_bot,
    tupleElement(parsed, 'element') as element,
    tupleElement(parsed, 'target_url') as target_url,
    tupleElement(parsed, 'tickets') as tickets,
    tupleElement(parsed, 'amount') as amount,
    tupleElement(parsed, 'currency') as currency,
    tupleElement(parsed, 'ticket_type') as ticket_type,
    tupleElement(parsed, 'payment_method') as payment_method,
    tupleElement(parsed, 'experiment') as experiment,
    tupleElement(parsed, 'variant') as variant,
    tupleElement(parsed, 'http_method') as http_method,
    tupleElement(parsed, 'http_status') as http_status,
    tupleElement(parsed, 'response_bytes') as response_bytes
from typed
