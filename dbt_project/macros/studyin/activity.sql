{#- What is counted of learning events: every measure adds up over users, hours and days. Each is the SQL over
    int_studyin__learning_events_unioned that counts it, in the order of the tables' columns. -#}
{%- macro studyin_activity_measures() -%}
    {{ return({
        'learning_events': 'count()',
        'materials_viewed': "countIf(event_type = 'material_view')",
        'material_clicks': "sumIf(coalesce(clicks, 1), event_type = 'material_view')",
        'materials_completed': "countIf(event_type = 'material_complete')",
        'material_duration_s': "sumIf(coalesce(duration_s, 0), event_type = 'material_complete')",
        'assessments_submitted': 'countIf(is_assessment)',
        'assessments_scored': 'countIf(is_assessment and score is not null)',
        'assessment_score_sum': "cast(sumIf(coalesce(score, toDecimal64(0, 4)), is_assessment), 'Decimal(18, 4)')",
        'xp_earned': "sumIf(coalesce(xp, 0), event_type = 'xp_earned')",
        'level_ups': "countIf(event_type = 'level_up')",
        'achievements_unlocked': "countIf(event_type = 'achievement_unlocked')",
        'streak_updates': "countIf(event_type = 'streak_updated')",
        'coach_interactions': "countIf(event_type = 'ai_coach_interaction')",
        'coach_feedback': "countIf(event_type = 'ai_coach_feedback')",
    }) }}
{%- endmacro -%}

{#- Those measures, counted over events. -#}
{%- macro studyin_activity_counts() -%}
    {%- for measure, counted in studyin_activity_measures().items() %}
    {{ counted }} as {{ measure }}
        {{- ',' if not loop.last }}
    {%- endfor -%}
{%- endmacro -%}

{#- Those measures as columns of a relation that holds them. -#}
{%- macro studyin_activity_columns(relation) -%}
    {%- for measure in studyin_activity_measures() %}
    {{ relation }}.{{ measure }}
        {{- ',' if not loop.last }}
    {%- endfor -%}
{%- endmacro -%}

{#- The sums of those measures over rows of a relation that holds them; sums of decimals grow wider than their column. -#}
{%- macro studyin_activity_sums(relation) -%}
    {%- for measure in studyin_activity_measures() %}
        {%- set summed = 'sum(' ~ relation ~ '.' ~ measure ~ ')' %}
        {{ "cast(" ~ summed ~ ", 'Decimal(18, 4)')" if measure == 'assessment_score_sum' else summed }} as {{ measure }}
        {{- ',' if not loop.last }}
    {%- endfor -%}
{%- endmacro -%}

{#- The ratios that follow from sums of activity. -#}
{%- macro studyin_avg_session_duration() -%}
    {{ ratio('session_duration_ms', '(1000 * sessions)') }}
{%- endmacro -%}

{%- macro studyin_avg_assessment_score() -%}
    {{ money_per('assessment_score_sum', 'assessments_scored') }}
{%- endmacro -%}

{#- The days whose receipts a run counts anew: those of its window. -#}
{%- macro studyin_receipts_touched() -%}
    {{ days_of_window() }}
{%- endmacro -%}

{#- A number rounded to four decimals, null for null: sums of decimals are exact in any order, those of floats are not. -#}
{%- macro rounded_decimal(number) -%}
    cast(
            divideDecimal(toDecimal128(floor({{ number }} * 10000 + 0.5), 0), toDecimal128(10000, 0), 4),
            'Nullable(Decimal(18, 4))'
        )
{%- endmacro -%}
