-- What each series showed in each hour, judged by the same hours of the weeks before, else by the week before the day.
-- Numbers are counts of 1e-9. Of an even number of values the upper one of the middle is the median.
create macro upper_median(numbers) as list_sort(numbers)[1 + len(numbers) // 2];

create table judged_hours as
with
shown as (
    select
        tenant_id,
        name,
        type,
        unit,
        dimensions_text,
        dimensions,
        period_start as hour,
        unnest(case type
            when 'counter' then [{'aspect': 'sum', 'place': 1, 'observed': sum}]
            when 'gauge' then [
                {'aspect': 'mean', 'place': 1, 'observed': mean},
                {'aspect': 'max', 'place': 2, 'observed': max},
                {'aspect': 'min', 'place': 3, 'observed': min}
            ]
            else [{'aspect': 'mean', 'place': 1, 'observed': mean}]
        end, recursive := true)
    from metric_periods
    where grain = 'hour' and not list_contains(map_values(dimensions), '__other__')
),

hours as (
    select
        * exclude (observed),
        cast(hour as date) as day,
        cast(observed * 1000000000 as hugeint) as observed
    from shown
    where observed is not null
),

weekly as (
    select
        own.tenant_id,
        own.name,
        own.type,
        own.unit,
        own.dimensions_text,
        own.aspect,
        own.hour,
        list(past.observed) as known
    from hours as own
    cross join (select unnest([1, 2, 3, 4]) as weeks) as back
    cross join (select unnest([-1, 0, 1]) as beside) as aside
    inner join hours as past
        on
            own.tenant_id = past.tenant_id
            and own.name = past.name
            and own.type = past.type
            and own.unit = past.unit
            and own.dimensions_text = past.dimensions_text
            and own.aspect = past.aspect
            and past.hour = own.hour - to_hours(cast(168 * back.weeks + aside.beside as bigint))
    group by all
    having count(*) >= 9
),

recent as (
    select
        own.tenant_id,
        own.name,
        own.type,
        own.unit,
        own.dimensions_text,
        own.aspect,
        own.day,
        list(past.observed) as known
    from (select distinct tenant_id, name, type, unit, dimensions_text, aspect, day from hours) as own
    inner join hours as past
        on
            own.tenant_id = past.tenant_id
            and own.name = past.name
            and own.type = past.type
            and own.unit = past.unit
            and own.dimensions_text = past.dimensions_text
            and own.aspect = past.aspect
            and past.hour >= cast(own.day as timestamp) - interval 168 hour
            and past.hour < cast(own.day as timestamp)
    group by all
    having count(*) >= 24
),

compared as (
    select
        hours.*,
        weekly.known is not null as is_weekly,
        coalesce(weekly.known, recent.known) as known,
        upper_median(coalesce(weekly.known, recent.known)) as expected
    from hours
    left join weekly using (tenant_id, name, type, unit, dimensions_text, aspect, hour)
    left join recent using (tenant_id, name, type, unit, dimensions_text, aspect, day)
    where coalesce(weekly.known, recent.known) is not null
),

spread_out as (
    select
        *,
        observed - expected as deviation,
        greatest(
            upper_median(list_transform(known, lambda value: abs(value - expected))) * 14826 // 10000,
            abs(expected) // 100
        ) as spread
    from compared
)

select
    *,
    case
        when spread > 0 then least(abs(deviation) * 10000 // spread, 10000000)
        when deviation <> 0 then 10000000
    end as score
from spread_out;
