{#- numerator / denominator as Float64, null where the denominator is 0. -#}
{%- macro ratio(numerator, denominator) -%}
    if({{ denominator }} = 0, null, {{ numerator }} / {{ denominator }})
{%- endmacro -%}

{#- Money per thing, truncated at the fourth decimal without a detour over floats; null where there is no thing. -#}
{%- macro money_per(amount, things) -%}
    if(
        {{ things }} = 0,
        null,
        cast(divideDecimal({{ amount }}, toDecimal128(greatest({{ things }}, 1), 0), 4), 'Decimal(18, 4)')
    )
{%- endmacro -%}
