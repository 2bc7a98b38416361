{%- set kinds = [
    ('stg_studyin__sessions', ['duration_s', 'xp']),
    ('stg_studyin__material_interactions', ['duration_s', 'clicks', 'score', 'is_assessment']),
    ('stg_studyin__gamification_events', ['xp']),
    ('stg_studyin__ai_coach_events', []),
] -%}

{%- set is_assessment = "toBool(event_type = 'material_complete' and material_type = 'assessment')" -%}
{%- set no_number = "cast(null, 'Nullable(Int64)')" -%}
{%- set no_score = "cast(null, 'Nullable(Decimal(18, 4))')" -%}

{%- for relation, fields in kinds %}
    select
        tenant_id,
        session_id,
        event_id,
        event_type,
        occurred_at,
        occurred_date,
        received_hour,
        user_key,
        {{ 'duration_s' if 'duration_s' in fields else no_number }} as duration_s,
        {{ 'xp' if 'xp' in fields else no_number }} as xp,
        {{ 'clicks' if 'clicks' in fields else no_number }} as clicks,
        {{ rounded_decimal('score') if 'score' in fields else no_score }} as score,
        {{ is_assessment if 'is_assessment' in fields else 'false' }} as is_assessment
    from {{ ref(relation) }}
    {{ 'union all' if not loop.last }}
{%- endfor %}
