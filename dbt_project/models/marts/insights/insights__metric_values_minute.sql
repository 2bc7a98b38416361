{{
    config(
        materialized='partition_replace',
        date_column='minute',
        order_by=['tenant_id', 'name', 'minute', 'dimensions_text'],
        touched_query='insights_metrics_touched',
        tags=['hourly'],
    )
}}

with
samples as (
    select * from {{ ref('int_insights__metric_samples') }}
    where {{ is_touched_event() }}
),

counters as (
    select * from {{ ref('int_insights__counters_daily') }}
    where {{ is_within_days_before_touched('day', insights_counter_memory_days()) }}
),

dimensions as (
    select * from {{ ref('int_insights__dimensions_daily') }}
    where
        {{ is_touched('day') }}
        and distinct_values > {{ insights_dimension_limit() }}
),

folds as (
    select
        tenant_id,
        day,
        name,
        cast((groupArray(dimension), groupArray(kept_values)), 'Map(String, Array(String))') as kept
    from dimensions
    group by
        tenant_id,
        day,
        name
),

-- What each counter read last on the days before.
remembered as (
    select
        tenant_id,
        name,
        unit,
        series,
        day,
        last_reading,
        arrayJoin(arrayMap(n -> day + n, range(1, {{ insights_counter_memory_days() + 1 }}))) as following_day
    from counters
),

openings as (
    select
        tenant_id,
        name,
        unit,
        series,
        following_day,
        toNullable(argMax(last_reading, day)) as reading
    from remembered
    group by
        tenant_id,
        name,
        unit,
        series,
        following_day
),

-- A sample of a counter that has no value says nothing of its increase, and hides none.
followed as (
    select
        *,
        type = 'counter' and reading is not null as is_reading,
        lagInFrame(reading) over (
            partition by tenant_id, name, unit, series, occurred_date, type = 'counter' and reading is not null
            order by occurred_at, event_id
            rows between unbounded preceding and current row
        ) as reading_today
    from samples
),

compared as (
    select
        followed.* except (observations, total, single),
        followed.observations as told_observations,
        followed.total as told_total,
        followed.single as told_single,
        coalesce(followed.reading_today, openings.reading) as reading_before,
        coalesce(followed.is_reading and followed.reading < reading_before, false) as is_reset,
        if(
            followed.is_reading,
            if(is_reset, followed.reading, followed.reading - reading_before),
            null
        ) as increase
    from followed
    left join openings
        on
            followed.tenant_id = openings.tenant_id
            and followed.name = openings.name
            and followed.unit = openings.unit
            and followed.series = openings.series
            and followed.occurred_date = openings.following_day
),

observed as (
    select
        compared.tenant_id as tenant_id,  -- noqa: AL09
        compared.event_id,
        compared.occurred_at,
        compared.name as name,  -- noqa: AL09
        compared.type as type,  -- noqa: AL09
        compared.unit as unit,  -- noqa: AL09
        compared.reading,
        compared.is_reset,
        compared.bucket_bounds,
        compared.bucket_counts,
        compared.summary_levels,
        compared.summary_values,
        toStartOfMinute(compared.occurred_at) as minute,
        {{ insights_folded('compared.dimensions', 'folds.kept') }} as dimensions,
        if(type = 'counter', toUInt64(compared.increase is not null), compared.told_observations) as noticed,
        if(type = 'counter', compared.increase, compared.told_total) as noticed_total,
        if(type = 'counter', compared.increase, compared.told_single) as single,
        if(
            single is null,
            {{ insights_bounds_in_state('compared.bucket_bounds') }},
            [assumeNotNull({{ insights_cut('single') }})]
        ) as weighted_values,
        if(single is null, compared.bucket_counts, [toUInt64(1)]) as weights
    from compared
    left join folds
        on
            compared.tenant_id = folds.tenant_id
            and compared.name = folds.name
            and compared.occurred_date = folds.day
),

merged as (
    select
        tenant_id,
        minute,
        name,
        type,
        unit,
        dimensions,
        count() as samples,
        sum(noticed) as observations,
        if(countIf(noticed_total is null and noticed > 0) > 0, null, sum(noticed_total)) as total,
        min(single) as lowest,
        max(single) as highest,
        argMax(reading, (occurred_at, event_id)) as last,
        min(occurred_at) as first_at,
        max(occurred_at) as last_at,
        countIf(is_reset) as resets,
        sumMap(bucket_bounds, bucket_counts) as buckets,
        minMap(summary_levels, summary_values) as lows,
        maxMap(summary_levels, summary_values) as highs,
        sumMap(weighted_values, weights) as weighted
    from observed
    group by
        tenant_id,
        minute,
        name,
        type,
        unit,
        dimensions
)

select
    tenant_id,
    minute,
    name,
    type,
    unit,
    dimensions,
    samples,
    last,
    first_at,
    last_at,
    resets,
    {{ insights_dimensions_text('dimensions') }} as dimensions_text,
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
    arrayReduce(
        'quantilesExactWeightedState({{ insights_levels() }})', tupleElement(weighted, 1), tupleElement(weighted, 2)
    ) as quantiles_state,
    {{ insights_quantiles('quantiles_state', 'notEmpty(tupleElement(weighted, 1))') }}
from merged
