-- What every series showed in every minute, hour and day.
create table metric_periods as
with
placed as (
    select
        metric_samples.*,
        struct_pack(
            grain,
            period_start := date_trunc(grain, moment),
            tenant_id,
            name,
            type,
            unit,
            dimensions_text := coalesce(dimensions_text, '')
        ) as series
    from metric_samples cross join (values ('minute'), ('hour'), ('day')) as grains (grain)
),

measured as (
    select
        series,
        any_value(pairs) as pairs,
        count(*) as samples,
        sum(observations) as count,
        case when count(*) filter (observations > 0 and total is null) = 0 then sum(total) filter (observations > 0) end
            as sum,
        min(observed) as min,
        max(observed) as max,
        arg_max(reading, row(moment, event_id)) filter (reading is not null) as last,
        min(moment) as first_at,
        max(moment) as last_at,
        count(*) filter (is_reset) as resets
    from placed
    group by all
),

weighed as (
    select
        series,
        observation,
        sum(number) as number
    from placed inner join metric_observations using (sample)
    group by all
),

stacked as (
    select
        *,
        sum(number) over (all_of_series order by observation) as up_to,
        sum(number) over all_of_series as observed
    from weighed
    window all_of_series as (partition by series)
),

quantiles as (
    select
        series,
        min(observation) filter (up_to >= ceil(cast(0.5 as double) * observed)) as p50,
        min(observation) filter (up_to >= ceil(cast(0.9 as double) * observed)) as p90,
        min(observation) filter (up_to >= ceil(cast(0.95 as double) * observed)) as p95,
        min(observation) filter (up_to >= ceil(cast(0.99 as double) * observed)) as p99
    from stacked
    group by all
),

bucket_sums as (
    select
        series,
        bound,
        sum(number) as number
    from placed inner join histogram_buckets using (sample)
    group by all
),

buckets as (
    select
        * exclude (bound, number),
        list(bound order by bound) as bucket_bounds,
        list(cast(number as ubigint) order by bound) as bucket_counts
    from bucket_sums
    group by all
),

told as (
    select
        series,
        unnest(quantiles) as told
    from placed
    where type = 'summary'
),

levels as (
    select
        * exclude (told),
        cast(told ->> 'quantile' as double) as level,
        min(nanos(cast(told ->> 'value' as double))) as low,
        max(nanos(cast(told ->> 'value' as double))) as high
    from told
    group by all
),

summaries as (
    select
        * exclude (level, low, high),
        list(level order by level) as summary_levels,
        list(as_decimal(low) order by level) as summary_lows,
        list(as_decimal(high) order by level) as summary_highs
    from levels
    group by all
)

select
    unnest(measured.series),
    map_from_entries(list_transform(pairs, lambda p: {'k': p.word, 'v': p.said})) as dimensions,
    samples,
    count,
    as_decimal(sum) as sum,
    as_decimal(min) as min,
    as_decimal(max) as max,
    case when count > 0 then as_decimal(sign(sum) * (abs(sum) // count)) end as mean,
    as_decimal(last) as last,
    first_at,
    last_at,
    resets,
    as_decimal(nullif(p50, beyond())) as p50,
    as_decimal(nullif(p90, beyond())) as p90,
    as_decimal(nullif(p95, beyond())) as p95,
    as_decimal(nullif(p99, beyond())) as p99,
    coalesce(bucket_bounds, cast([] as double[])) as bucket_bounds,
    coalesce(bucket_counts, cast([] as ubigint[])) as bucket_counts,
    coalesce(summary_levels, cast([] as double[])) as summary_levels,
    coalesce(summary_lows, cast([] as decimal(38, 9)[])) as summary_lows,
    coalesce(summary_highs, cast([] as decimal(38, 9)[])) as summary_highs
from measured
left join quantiles using (series)
left join buckets using (series)
left join summaries using (series);
