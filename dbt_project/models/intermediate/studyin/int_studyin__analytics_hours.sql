{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='hour',
        order_by=['tenant_id', 'hour'],
        touched_by=['session'],
        tags=['hourly'],
    )
}}

with
activity as (
    select * from {{ ref('int_studyin__activity_hours') }}
    where {{ is_touched('toDate(hour)') }}
),

sessions as (
    select * from {{ ref('studyin__learning_sessions') }}
    where {{ is_touched('session_date') }}
),

requests as (
    select * from {{ ref('int_studyin__request_hours') }}
    where {{ is_touched('toDate(hour)') }}
),

errors as (
    select * from {{ ref('stg_studyin__system_errors') }}
    where {{ is_touched_event() }}
),

facts as (
    select
        tenant_id,
        hour,
        user_key,
        learning_events,
        xp_earned,
        toUInt64(0) as sessions,
        toUInt64(0) as requests,
        toUInt64(0) as server_errors,
        toUInt64(0) as errors
    from activity
    union all
    select
        tenant_id,
        toStartOfHour(started_at) as hour,
        '' as user_key,
        toUInt64(0) as learning_events,
        toInt64(0) as xp_earned,
        toUInt64(1) as sessions,
        toUInt64(0) as requests,
        toUInt64(0) as server_errors,
        toUInt64(0) as errors
    from sessions
    union all
    select
        tenant_id,
        hour,
        '' as user_key,
        toUInt64(0) as learning_events,
        toInt64(0) as xp_earned,
        toUInt64(0) as sessions,
        requests,
        server_errors,
        toUInt64(0) as errors
    from requests
    union all
    select
        tenant_id,
        toStartOfHour(occurred_at) as hour,
        '' as user_key,
        toUInt64(0) as learning_events,
        toInt64(0) as xp_earned,
        toUInt64(0) as sessions,
        toUInt64(0) as requests,
        toUInt64(0) as server_errors,
        toUInt64(1) as errors
    from errors
)

select
    facts.tenant_id,
    facts.hour,
    sum(facts.learning_events) as learning_events,
    uniqExactIf(facts.user_key, facts.user_key != '') as active_users,
    uniqExactStateIf(facts.user_key, facts.user_key != '') as users_state,
    sum(facts.sessions) as sessions,
    sum(facts.xp_earned) as xp_earned,
    sum(facts.requests) as requests,
    sum(facts.server_errors) as server_errors,
    sum(facts.errors) as errors
from facts
group by
    facts.tenant_id,
    facts.hour
