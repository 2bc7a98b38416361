{{
    config(
        materialized='partition_replace',
        date_column='session_date',
        order_by=['tenant_id', 'started_at', 'session_id'],
        touched_by=['session'],
        linked_by=['session'],
        tags=['hourly'],
    )
}}

with
events as (
    select * from {{ ref('int_studyin__learning_events_unioned') }}
    where
        {{ is_linked_event() }}
        and session_id is not null
),

gathered as (
    select
        tenant_id,
        session_id,
        minIf(toNullable(occurred_at), event_type = 'session_start') as first_start_at,
        min(occurred_at) as first_event_at,
        max(occurred_at) as last_event_at,
        argMinIf(user_key, (occurred_at, event_id), user_key is not null) as first_user_key,
        arraySort(groupArrayIf((occurred_at, event_id, duration_s, xp), event_type = 'session_end')) as endings,
        countIf(event_type = 'session_start') as starts,
        countIf(event_type = 'session_end') as ends,
        count() as learning_events,
        sumIf(coalesce(xp, 0), event_type = 'xp_earned') as xp_earned,
        countIf(event_type = 'material_view') as materials_viewed,
        countIf(event_type = 'material_complete') as materials_completed,
        countIf(event_type = 'ai_coach_interaction') as coach_interactions
    from events
    group by
        tenant_id,
        session_id
),

paired as (
    select
        *,
        coalesce(first_start_at, first_event_at) as started_at,
        arrayFilter(ending -> tupleElement(ending, 1) >= started_at, endings) as closings,
        notEmpty(closings) as has_closing,
        -- The last that closes it; of an empty array ClickHouse takes an empty tuple.
        closings[-1] as closing
    from gathered
)

select
    tenant_id,
    started_at,
    starts,
    ends,
    learning_events,
    xp_earned,
    materials_viewed,
    materials_completed,
    coach_interactions,
    first_user_key as user_key,
    assumeNotNull(session_id) as session_id,
    toDate(started_at) as session_date,
    if(has_closing, tupleElement(closing, 1), last_event_at) as ended_at,
    toBool(has_closing) as is_closed,
    toBool(starts = 0) as is_start_missing,
    toBool(starts > 0 and ends > 0 and not has_closing) as is_reversed,
    dateDiff('millisecond', started_at, ended_at) as duration_ms,
    tupleElement(closing, 3) as reported_duration_s,
    tupleElement(closing, 4) as reported_xp
from paired
