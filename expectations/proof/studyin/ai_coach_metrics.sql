select
    tenant_id,
    day,
    count(*) filter (event_type = 'ai_coach_interaction') as coach_interactions,
    count(distinct conversation_id) filter (event_type = 'ai_coach_interaction') as conversations,
    count(distinct user_key) filter (event_type = 'ai_coach_interaction') as coached_users,
    coalesce(sum(tokens) filter (event_type = 'ai_coach_interaction'), 0) as tokens,
    at_share(list(latency_ms) filter (event_type = 'ai_coach_interaction'), 0.5) as latency_p50_ms,
    at_share(list(latency_ms) filter (event_type = 'ai_coach_interaction'), 0.95) as latency_p95_ms,
    at_share(list(latency_ms) filter (event_type = 'ai_coach_interaction'), 0.99) as latency_p99_ms,
    count(*) filter (event_type = 'ai_coach_feedback') as coach_feedback,
    count(distinct conversation_id) filter (event_type = 'ai_coach_feedback') as conversations_rated,
    coalesce(sum(rating) filter (event_type = 'ai_coach_feedback'), 0) as rating_sum,
    ratio(sum(rating) filter (event_type = 'ai_coach_feedback'), coach_feedback) as avg_rating
from app_events
where event_type in ('ai_coach_interaction', 'ai_coach_feedback')
group by tenant_id, day
