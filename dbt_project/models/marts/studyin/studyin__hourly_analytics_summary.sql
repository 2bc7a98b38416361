{{
    config(
        materialized='view',
        tags=['hourly'],
    )
}}

with
happened as (
    select * from {{ ref('int_studyin__analytics_hours') }}
),

received as (
    select * from {{ ref('int_studyin__receipts_hours') }}
),

builds as (
    select * from {{ ref('stg_studyin__builds') }}
    where cadence = 'hourly'
),

-- From the end of the hour to its build; nothing is noted before the hour is built.
delays as (
    select
        received.tenant_id,
        received.hour,
        received.received_rows,
        received.wait_p50_ms,
        received.wait_p95_ms,
        received.wait_max_ms,
        if(
            builds.built_at = toDateTime64(0, 3, 'UTC'),
            null,
            dateDiff('millisecond', toDateTime64(received.hour + 3600, 3, 'UTC'), builds.built_at)
        ) as delay_ms
    from received
    left join builds on received.hour = builds.received_hour
),

grains as (
    select
        tenant_id,
        hour
    from happened
    union distinct
    select
        tenant_id,
        hour
    from received
),

joined as (
    select
        -- A column that joined relations share is named with its relation by ClickHouse, unless it has an alias.
        grains.hour as hour,  -- noqa: AL09
        happened.learning_events,
        happened.active_users,
        happened.sessions,
        happened.xp_earned,
        happened.requests,
        happened.server_errors,
        happened.errors,
        delays.received_rows,
        toLowCardinality(grains.tenant_id) as tenant_id,
        happened.learning_events + happened.requests + happened.errors as events,
        (delays.delay_ms + delays.wait_p50_ms) / 1000 as received_to_mart_p50_seconds,
        (delays.delay_ms + delays.wait_p95_ms) / 1000 as received_to_mart_p95_seconds,
        (delays.delay_ms + delays.wait_max_ms) / 1000 as received_to_mart_max_seconds
    from grains
    left join happened on grains.tenant_id = happened.tenant_id and grains.hour = happened.hour
    left join delays on grains.tenant_id = delays.tenant_id and grains.hour = delays.hour
)

select
    tenant_id,
    hour,
    events,
    learning_events,
    active_users,
    sessions,
    xp_earned,
    requests,
    server_errors,
    errors,
    received_rows,
    received_to_mart_p50_seconds,
    received_to_mart_p95_seconds,
    received_to_mart_max_seconds
from joined
