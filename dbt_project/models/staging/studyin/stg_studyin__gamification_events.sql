{# Generated from ingestion/contracts by `millrace contracts generate`; do not edit. #}
with

source as (
    select *
    from {{ source('raw', 'events') }}
    where
        source = 'studyin'
        and event_type in ('achievement_unlocked', 'level_up', 'streak_updated', 'xp_earned')
        and not is_duplicate
),

typed as (
    select
        *,
        JSONExtract(
            payload,
            'Tuple(
                achievement Nullable(String),
                level Nullable(Int64),
                days Nullable(Int64),
                xp Nullable(Int64),
                reason Nullable(String)
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
    tupleElement(parsed, 'achievement') as achievement,
    tupleElement(parsed, 'level') as level,
    tupleElement(parsed, 'days') as days,
    tupleElement(parsed, 'xp') as xp,
    tupleElement(parsed, 'reason') as reason
from typed
