{#- Comparing two proportions, converted of exposed against those of a control: columns of a select over counts.

    The difference has Wald's unpooled interval, the test pools both samples: as statsmodels'
    confint_proportions_2indep(method='wald') and proportions_ztest. Null where a side is empty; the test also where nobody
    or everybody of both sides converted, for then nothing varies. -#}

{#- The 0.975 quantile of the standard normal distribution. -#}
{%- macro z_of_95_percent() -%}
    1.959963984540054
{%- endmacro -%}

{%- macro difference_of_rates(converted, exposed, control_converted, control_exposed) -%}
    if({{ exposed }} = 0 or {{ control_exposed }} = 0, null, {{ converted }} / {{ exposed }} - {{ control_converted }} / {{ control_exposed }})
{%- endmacro -%}

{%- macro unpooled_error(converted, exposed, control_converted, control_exposed) -%}
    sqrt(
        ({{ converted }} / {{ exposed }}) * (1 - {{ converted }} / {{ exposed }}) / {{ exposed }}
        + ({{ control_converted }} / {{ control_exposed }}) * (1 - {{ control_converted }} / {{ control_exposed }}) / {{ control_exposed }}
    )
{%- endmacro -%}

{%- macro pooled_error(converted, exposed, control_converted, control_exposed) -%}
    {%- set pooled = '((' ~ converted ~ ' + ' ~ control_converted ~ ') / (' ~ exposed ~ ' + ' ~ control_exposed ~ '))' -%}
    if(
        {{ converted }} + {{ control_converted }} in (0, {{ exposed }} + {{ control_exposed }}),
        null,
        sqrt({{ pooled }} * (1 - {{ pooled }}) * (1 / {{ exposed }} + 1 / {{ control_exposed }}))
    )
{%- endmacro -%}

{#- Two-sided, of a z-score. -#}
{%- macro p_of_z(z) -%}
    erfc(abs({{ z }}) / sqrt(2))
{%- endmacro -%}
