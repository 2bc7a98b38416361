-- What each user did on a day, users that nobody knows together; a session counts for its user on the day it started.
create table activity as
with
parts as (
    select
        tenant_id,
        user_key,
        day,
        1 as learning_events,
        cast(event_type = 'material_view' as int) as materials_viewed,
        case when event_type = 'material_view' then coalesce(clicks, 1) end as material_clicks,
        cast(event_type = 'material_complete' as int) as materials_completed,
        case when event_type = 'material_complete' then duration_s end as material_duration_s,
        cast(event_type = 'material_complete' and material_type = 'assessment' as int) as assessments_submitted,
        case when event_type = 'material_complete' and material_type = 'assessment' then score_units end as units,
        case when event_type = 'xp_earned' then xp end as xp_earned,
        cast(event_type = 'level_up' as int) as level_ups,
        cast(event_type = 'achievement_unlocked' as int) as achievements_unlocked,
        cast(event_type = 'streak_updated' as int) as streak_updates,
        cast(event_type = 'ai_coach_interaction' as int) as coach_interactions,
        cast(event_type = 'ai_coach_feedback' as int) as coach_feedback
    from app_events
    where is_learning
    union all by name
    select
        tenant_id,
        user_key,
        session_date as day,
        1 as sessions,
        cast(is_closed as int) as sessions_closed,
        duration_ms as session_duration_ms
    from sessions
)

select
    tenant_id,
    user_key,
    day,
    coalesce(sum(learning_events), 0) as learning_events,
    coalesce(sum(sessions), 0) as sessions,
    coalesce(sum(sessions_closed), 0) as sessions_closed,
    coalesce(sum(session_duration_ms), 0) as session_duration_ms,
    coalesce(sum(materials_viewed), 0) as materials_viewed,
    coalesce(sum(material_clicks), 0) as material_clicks,
    coalesce(sum(materials_completed), 0) as materials_completed,
    coalesce(sum(material_duration_s), 0) as material_duration_s,
    coalesce(sum(assessments_submitted), 0) as assessments_submitted,
    count(units) as assessments_scored,
    coalesce(sum(units), 0) as units,
    coalesce(sum(xp_earned), 0) as xp_earned,
    coalesce(sum(level_ups), 0) as level_ups,
    coalesce(sum(achievements_unlocked), 0) as achievements_unlocked,
    coalesce(sum(streak_updates), 0) as streak_updates,
    coalesce(sum(coach_interactions), 0) as coach_interactions,
    coalesce(sum(coach_feedback), 0) as coach_feedback
from parts
group by tenant_id, user_key, day;

create macro in_tens_of_thousandths(units) as
    cast(cast(units as decimal(22, 0)) * cast(0.0001 as decimal(4, 4)) as decimal(18, 4));

create macro activity_of(rows_of) as table
    select
        * exclude (units),
        ratio(session_duration_ms, 1000 * sessions) as avg_session_duration_s,
        in_tens_of_thousandths(units) as assessment_score_sum,
        case
            when assessments_scored > 0 then in_tens_of_thousandths(units // assessments_scored)
        end as avg_assessment_score
    from query_table(rows_of);
