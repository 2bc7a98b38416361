{#- What an insight is compared with, and when it is one. docs/decisions/0252 says how these numbers were found. -#}

{#- Weeks back from which the same hours are taken. -#}
{%- macro insights_baseline_weeks() -%}
    {{ return(4) }}
{%- endmacro -%}

{#- The days before its own that an hour's baseline may lie in: those weeks, and the hour before midnight. -#}
{%- macro insights_baseline_days() -%}
    {{ return(insights_baseline_weeks() * 7 + 1) }}
{%- endmacro -%}

{#- Fewer values of weeks before are too few to judge by. -#}
{%- macro insights_weekly_points() -%}
    {{ return(9) }}
{%- endmacro -%}

{#- The same for the hours of the week before. -#}
{%- macro insights_recent_points() -%}
    {{ return(24) }}
{%- endmacro -%}

{#- The least score of an insight, and the largest. -#}
{%- macro insights_least_score() -%}
    {{ return(8) }}
{%- endmacro -%}

{%- macro insights_most_score() -%}
    {{ return(1000) }}
{%- endmacro -%}

{#- Median of an array, of an even number of elements the upper one: an element, so that no engine rounds. -#}
{%- macro insights_median(numbers) -%}
    arraySort({{ numbers }})[intDiv(length({{ numbers }}), 2) + 1]
{%- endmacro -%}

{#- The larger of 1.4826 * MAD and 1 % of what is expected. -#}
{%- macro insights_spread(mad, expected) -%}
    toDecimal128(
        greatest(
            toDecimal256({{ mad }}, 9) * toDecimal256('1.4826', 4),
            toDecimal256(abs({{ expected }}), 9) * toDecimal256('0.0100', 4)
        ),
        9
    )
{%- endmacro -%}

{#- Deviation in spreads; what has no spread and deviates is beyond all measure. -#}
{%- macro insights_score(deviation, spread) -%}
    if(
        {{ spread }} = 0,
        toDecimal128(if({{ deviation }} = 0, 0, {{ insights_most_score() }}), 4),
        toDecimal128(
            least(
                divideDecimal(
                    toDecimal256(abs({{ deviation }}), 9),
                    toDecimal256(if({{ spread }} = 0, toDecimal128(1, 9), {{ spread }}), 9),
                    4
                ),
                toDecimal256({{ insights_most_score() }}, 4)
            ),
            4
        )
    )
{%- endmacro -%}

{#- A number as a person reads it: three decimals, and none that are zeros. -#}
{%- macro insights_shown(number) -%}
    toString(round({{ number }}, 3))
{%- endmacro -%}

{#- How long after an hour those come that it helps to judge: the same of the next weeks, one before and one after each. -#}
{%- macro insights_hours_ahead() -%}
    arrayFlatten(arrayMap(
        week -> [168 * week - 1, 168 * week, 168 * week + 1], range(1, {{ insights_baseline_weeks() + 1 }})
    ))
{%- endmacro -%}

{#- What is judged of an hour, in the order in which ties go: of a counter how much it grew; of a gauge its mean, and the
    extremes that a mean hides; of what sums up observations their mean. -#}
{%- macro insights_aspects() -%}
    multiIf(
        type = 'counter', [('sum', sum)],
        type = 'gauge', [('mean', mean), ('max', max), ('min', min)],
        [('mean', mean)]
    )
{%- endmacro -%}

{#- How a sentence goes on after the metric's name. -#}
{%- macro insights_verb(aspect, deviation) -%}
    multiIf(
        {{ aspect }} = 'sum', ' grew by ',
        {{ aspect }} = 'mean', ' was on average ',
        {{ aspect }} = 'max' and {{ deviation }} < 0, ' did not rise above ',
        {{ aspect }} = 'max', ' reached ',
        {{ deviation }} < 0, ' fell to ',
        ' did not fall below '
    )
{%- endmacro -%}
