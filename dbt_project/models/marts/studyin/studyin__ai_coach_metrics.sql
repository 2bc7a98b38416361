{{
    config(
        materialized='partition_replace',
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'day'],
        tags=['daily'],
    )
}}

with
hours as (
    select * from {{ ref('int_studyin__coach_hours') }}
    where {{ is_touched('toDate(hour)') }}
),

merged as (
    select
        hours.tenant_id,
        toDate(hours.hour) as day,
        sum(hours.coach_interactions) as coach_interactions,
        uniqExactMerge(hours.conversations_state) as conversations,
        uniqExactMerge(hours.users_state) as coached_users,
        sum(hours.tokens) as tokens,
        -- sqlfluff parses no aggregate function that takes parameters.
        quantilesExactMerge(0.5, 0.95, 0.99)(hours.latencies_state) as latencies,  -- noqa: PRS, AL03
        sum(hours.coach_feedback) as coach_feedback,
        uniqExactMerge(hours.conversations_rated_state) as conversations_rated,
        sum(hours.rating_sum) as rating_sum
    from hours
    group by
        hours.tenant_id,
        day
)

select
    tenant_id,
    day,
    coach_interactions,
    conversations,
    coached_users,
    tokens,
    coach_feedback,
    conversations_rated,
    rating_sum,
    {{- studyin_latency_columns('latencies', 'coach_interactions') }},
    {{ ratio('rating_sum', 'coach_feedback') }} as avg_rating
from merged
