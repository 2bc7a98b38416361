{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='hour',
        order_by=['tenant_id', 'hour'],
        tags=['daily'],
    )
}}

with
events as (
    select
        *,
        toBool(event_type = 'ai_coach_interaction') as is_interaction
    from {{ ref('stg_studyin__ai_coach_events') }}
    where {{ is_touched_event() }}
)

select
    tenant_id,
    toStartOfHour(occurred_at) as hour,
    countIf(is_interaction) as coach_interactions,
    sumIf(coalesce(tokens, 0), is_interaction) as tokens,
    countIf(not is_interaction) as coach_feedback,
    sumIf(coalesce(rating, 0), not is_interaction) as rating_sum,
    uniqExactStateIf(conversation_id, is_interaction) as conversations_state,
    uniqExactStateIf(conversation_id, not is_interaction) as conversations_rated_state,
    uniqExactStateIf(assumeNotNull(user_key), is_interaction and user_key is not null) as users_state,
    -- sqlfluff parses no aggregate function that takes parameters.
    quantilesExactStateIf(0.5, 0.95, 0.99)(  -- noqa: PRS, AL03
        assumeNotNull(latency_ms), is_interaction and latency_ms is not null
    ) as latencies_state
from events
group by
    tenant_id,
    hour
