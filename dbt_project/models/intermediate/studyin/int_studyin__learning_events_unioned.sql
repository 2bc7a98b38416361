{%- set kinds = [
    ('stg_studyin__sessions', ['duration_s', 'xp']),
    ('stg_studyin__material_interactions', ['duration_s', 'clicks', 'score', 'material_type']),
    ('stg_studyin__gamification_events', ['xp']),
    ('stg_studyin__ai_coach_events', []),
] -%}

{%- set no_number = "cast(null, 'Nullable(Int64)')" -%}

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
        {%- if 'score' in fields %}
        -- Sums of decimals are exact in any order; those of floats are not.
        cast(
            divideDecimal(toDecimal128(floor(score * 10000 + 0.5), 0), toDecimal128(10000, 0), 4), 'Nullable(Decimal(18, 4))'
        ) as score,
        {%- else %}
        cast(null, 'Nullable(Decimal(18, 4))') as score,
        {%- endif %}
        {{ "toBool(event_type = 'material_complete' and material_type = 'assessment')" if 'material_type' in fields else 'false' }} as is_assessment
    from {{ ref(relation) }}
    {{ 'union all' if not loop.last }}
{%- endfor %}
