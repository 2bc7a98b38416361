{# Generated from ingestion/contracts by `millrace contracts generate`; do not edit. #}
with

source as (
    select *
    from {{ source('raw', 'events') }}
    where
        source = 'insights'
        and event_type in ('SYSTEM_METRIC')
        and not is_duplicate
),

typed as (
    select
        *,
        session_id as envelope_session_id,
        JSONExtract(
            payload,
            'Tuple(
                attributes Tuple(
                    name String,
                    type String,
                    value Nullable(Float64),
                    unit Nullable(String),
                    dimensions Map(String, String),
                    count Nullable(Int64),
                    sum Nullable(Float64),
                    buckets Array(Tuple(
                        le Float64,
                        count Int64
                    )),
                    quantiles Array(Tuple(
                        quantile Float64,
                        value Float64
                    ))
                ),
                metadata Tuple(
                    userAgent Nullable(String),
                    sessionId Nullable(String),
                    batchId Nullable(String)
                )
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
    device_id,
    order_id,
    trace_id,
    producer,
    load_id,
    row_number,
    toDate(occurred_at) as occurred_date,
    coalesce(tupleElement(tupleElement(parsed, 'metadata'), 'sessionId'), envelope_session_id) as session_id,
    tupleElement(tupleElement(parsed, 'attributes'), 'name') as name,
    tupleElement(tupleElement(parsed, 'attributes'), 'type') as type,
    tupleElement(tupleElement(parsed, 'attributes'), 'value') as value,
    tupleElement(tupleElement(parsed, 'attributes'), 'unit') as unit,
    tupleElement(tupleElement(parsed, 'attributes'), 'dimensions') as dimensions,
    tupleElement(tupleElement(parsed, 'attributes'), 'count') as observation_count,
    tupleElement(tupleElement(parsed, 'attributes'), 'sum') as observation_sum,
    tupleElement(tupleElement(parsed, 'attributes'), 'buckets') as buckets,
    tupleElement(tupleElement(parsed, 'attributes'), 'quantiles') as quantiles,
    tupleElement(tupleElement(parsed, 'metadata'), 'userAgent') as user_agent,
    tupleElement(tupleElement(parsed, 'metadata'), 'batchId') as batch_id
from typed
