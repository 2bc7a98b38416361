-- What each sample observed, whatever its type; what a counter observed is known only beside its other samples.
with
samples as (
    select * from {{ ref('stg_insights__system_metrics') }}
),

told as (
    select
        tenant_id,
        event_id,
        occurred_at,
        occurred_date,
        received_hour,
        name,
        lower(type) as type,
        coalesce(unit, '') as unit,
        mapSort(dimensions) as dimensions,
        {{ insights_exact('value') }} as reading,
        {{ insights_exact('observation_sum') }} as told_sum,
        arraySort(buckets) as told_buckets,
        arrayMap(bucket -> tupleElement(bucket, 'le'), told_buckets) as bounds,
        -- Totals never fall with the bound, whatever a sample says.
        arrayMap(
            place -> toUInt64(arrayMax(arrayMap(
                bucket -> tupleElement(bucket, 'count'), arraySlice(told_buckets, 1, place)
            ))),
            arrayEnumerate(told_buckets)
        ) as running_totals,
        if(empty(running_totals), toUInt64(0), running_totals[-1]) as within_bounds,
        greatest(toUInt64(coalesce(observation_count, 0)), within_bounds) as told_count,
        observation_count is null and empty(buckets) as is_single,
        arraySort(quantile -> tupleElement(quantile, 'quantile'), quantiles) as told_quantiles
    from samples
)

select
    tenant_id,
    event_id,
    occurred_at,
    occurred_date,
    received_hour,
    name,
    type,
    unit,
    dimensions,
    reading,
    {{ insights_dimensions_text('dimensions') }} as series,
    if(type in ('histogram', 'summary') and not is_single, told_count, toUInt64(reading is not null)) as observations,
    if(type in ('histogram', 'summary') and not is_single, if(told_count = 0, null, told_sum), reading) as total,
    if(type in ('histogram', 'summary') and not is_single, null, reading) as single,
    if(
        type = 'histogram' and not is_single,
        arrayConcat(bounds, [toFloat64('inf')]),
        emptyArrayFloat64()
    ) as bucket_bounds,
    if(
        type = 'histogram' and not is_single,
        arrayMap(
            (running, place) -> toUInt64(running - if(place = 1, 0, running_totals[place - 1])),
            arrayConcat(running_totals, [told_count]),
            arrayEnumerate(arrayConcat(running_totals, [told_count]))
        ),
        emptyArrayUInt64()
    ) as bucket_counts,
    if(
        type = 'summary',
        arrayMap(quantile -> tupleElement(quantile, 'quantile'), told_quantiles),
        emptyArrayFloat64()
    ) as summary_levels,
    if(
        type = 'summary',
        arrayMap(quantile -> {{ insights_exact("tupleElement(quantile, 'value')") }}, told_quantiles),
        cast([], 'Array(Decimal(38, 9))')
    ) as summary_values
from told
