{#- The rules of metrics, each in one place. -#}

{#- Up to so many distinct values a dimension of a metric keeps on a day; the rest folds into one. -#}
{%- macro insights_dimension_limit() -%}
    {{ return(100) }}
{%- endmacro -%}

{%- macro insights_other() -%}
    '__other__'
{%- endmacro -%}

{#- A counter that was silent for more than so many days begins anew: its next reading has no increase. -#}
{%- macro insights_counter_memory_days() -%}
    {{ return(7) }}
{%- endmacro -%}

{#- A float rounded to nine decimals. Its whole part apart, for times 1e9 it may not fit a double. Sums of these are
    exact in any order, which those of floats are not. -#}
{%- macro insights_exact(value) -%}
    toDecimal128(
        toInt128(trunc({{ value }})) * toInt128(1000000000)
        + toInt128(floor(({{ value }} - trunc({{ value }})) * 1e9 + 0.5)),
        0
    ) * toDecimal128('0.000000001', 9)
{%- endmacro -%}

{#- Where a histogram's observations above its last bound lie in a state of quantiles. -#}
{%- macro insights_beyond() -%}
    toDecimal128('99999999999999999999999999999.999999999', 9)
{%- endmacro -%}

{#- A number cut to three significant digits, towards zero. Any two engines agree on it, and a series has at most 1,800 of
    them per power of ten. -#}
{%- macro insights_cut(value) -%}
    {%- set scaled = 'toInt128(' ~ value ~ ' * 1000000000)' -%}
    {%- set unit = "toInt128(rightPad('1', toUInt8(greatest(length(toString(abs(" ~ scaled ~ "))) - 2, 1)), '0'))" -%}
    toDecimal128(intDiv({{ scaled }}, {{ unit }}) * {{ unit }}, 0) * toDecimal128('0.000000001', 9)
{%- endmacro -%}

{#- Sorted dimensions as text; different dimensions never give the same one. -#}
{%- macro insights_dimensions_text(dimensions) -%}
    arrayStringConcat(
        arrayMap(
            (dimension, told) -> concat({{ insights_escaped('dimension') }}, '=', {{ insights_escaped('told') }}),
            mapKeys({{ dimensions }}),
            mapValues({{ dimensions }})
        ),
        ','
    )
{%- endmacro -%}

{%- macro insights_escaped(text) -%}
    replaceAll(replaceAll(replaceAll({{ text }}, '\\', '\\\\'), ',', '\\,'), '=', '\\=')
{%- endmacro -%}

{#- The levels of the quantiles that every period holds, as arguments of ClickHouse's functions. -#}
{%- macro insights_levels() -%}
    0.5, 0.9, 0.95, 0.99
{%- endmacro -%}

{#- sum / count without a detour over floats, truncated at the ninth decimal. -#}
{%- macro insights_mean(total, number) -%}
    if(
        {{ number }} = 0,
        null,
        toDecimal128(divideDecimal(toDecimal256({{ total }}, 9), toDecimal256(greatest({{ number }}, 1), 0), 9), 9)
    )
{%- endmacro -%}

{#- Upper bounds of buckets as values in a state of quantiles. -#}
{%- macro insights_bounds_in_state(bounds) -%}
    arrayMap(
        bound -> if(
            isInfinite(bound), {{ insights_beyond() }}, {{ insights_exact('if(isInfinite(bound), 0, bound)') }}
        ),
        {{ bounds }}
    )
{%- endmacro -%}

{#- Dimensions of a series, with values that their dimension does not keep as one. `kept` maps dimensions that have too
    many values to those that stay. -#}
{%- macro insights_folded(dimensions, kept) -%}
    mapApply(
        (dimension, told) -> (
            dimension,
            if(
                mapContains({{ kept }}, dimension) and not has({{ kept }}[dimension], told),
                {{ insights_other() }},
                told
            )
        ),
        {{ dimensions }}
    )
{%- endmacro -%}

{#- The columns of quantiles, out of a state that may be empty. -#}
{%- macro insights_quantiles(state, holds_any) -%}
    {%- for column in ['p50', 'p90', 'p95', 'p99'] %}
    if(
        {{ holds_any }} and finalizeAggregation({{ state }})[{{ loop.index }}] != {{ insights_beyond() }},
        finalizeAggregation({{ state }})[{{ loop.index }}],
        null
    ) as {{ column }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro -%}

{#- Rows of a finer grain of metric_values merged into a coarser one, exactly. -#}
{%- macro insights_rollup(finer, finer_period, period, moment) -%}
with
parts as (
    select * from {{ ref(finer) }}
    where {{ is_touched('toDate(' ~ finer_period ~ ')') }}
),

merged as (
    select
        parts.tenant_id as tenant_id,  -- noqa: AL09
        {{ moment }} as {{ period }},
        parts.name as name,  -- noqa: AL09
        parts.type as type,  -- noqa: AL09
        parts.unit as unit,  -- noqa: AL09
        parts.dimensions as dimensions,  -- noqa: AL09
        parts.dimensions_text as dimensions_text,  -- noqa: AL09
        sum(parts.samples) as samples,
        sum(parts.count) as observations,
        if(countIf(parts.sum is null and parts.count > 0) > 0, null, sum(parts.sum)) as total,
        min(parts.min) as lowest,
        max(parts.max) as highest,
        argMax(parts.last, parts.{{ finer_period }}) as last,
        min(parts.first_at) as first_at,
        max(parts.last_at) as last_at,
        sum(parts.resets) as resets,
        sumMap(parts.bucket_bounds, parts.bucket_counts) as buckets,
        minMap(parts.summary_levels, parts.summary_lows) as lows,
        maxMap(parts.summary_levels, parts.summary_highs) as highs,
        arrayReduce(
            'quantilesExactWeightedMergeState({{ insights_levels() }})', groupArray(parts.quantiles_state)
        ) as quantiles_state
    from parts
    group by
        tenant_id,
        {{ period }},
        name,
        type,
        unit,
        dimensions,
        dimensions_text
)

select
    tenant_id,
    {{ period }},
    name,
    type,
    unit,
    dimensions,
    dimensions_text,
    samples,
    last,
    first_at,
    last_at,
    resets,
    quantiles_state,
    observations as count,
    total as sum,
    lowest as min,
    highest as max,
    {{ insights_mean('total', 'observations') }} as mean,
    tupleElement(buckets, 1) as bucket_bounds,
    tupleElement(buckets, 2) as bucket_counts,
    tupleElement(lows, 1) as summary_levels,
    tupleElement(lows, 2) as summary_lows,
    tupleElement(highs, 2) as summary_highs,
    {{ insights_quantiles('quantiles_state', '(lowest is not null or notEmpty(tupleElement(buckets, 1)))') }}
from merged
{%- endmacro -%}

{#- The names of those dimensions, out of pairs with their number of values, that have too many. -#}
{%- macro insights_dimensions_beyond_limit(dimensions) -%}
    arrayMap(
        dimension -> tupleElement(dimension, 1),
        arrayFilter(dimension -> tupleElement(dimension, 2) > {{ insights_dimension_limit() }}, {{ dimensions }})
    )
{%- endmacro -%}
