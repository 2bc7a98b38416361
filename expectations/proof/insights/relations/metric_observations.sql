-- Observations with their number: single ones cut to three digits, those of a histogram under their bucket's bound.
create macro three_digits(number) as
    cast(
        case when number < 0 then '-' else '' end
        || substr(cast(abs(number) as varchar), 1, 3)
        || repeat('0', greatest(length(cast(abs(number) as varchar)) - 3, 0))
        as hugeint
    );

create macro beyond() as cast('99999999999999999999999999999999999999' as hugeint);

create table histogram_buckets as
with
told as (
    select
        sample,
        cast(bucket ->> 'le' as double) as bound,
        max(cast(bucket ->> 'count' as hugeint)) as up_to
    from (select sample, unnest(buckets) as bucket from metric_samples where type = 'histogram')
    group by all
),

running as (
    select
        sample,
        bound,
        max(up_to) over (partition by sample order by bound) as reached
    from told
),

rest as (
    select
        sample,
        cast('inf' as double) as bound,
        observations as reached
    from metric_samples
    where type = 'histogram' and observed is null
)

select
    sample,
    bound,
    reached - coalesce(lag(reached) over (partition by sample order by bound), 0) as number
from (select * from running union all select * from rest)
qualify number > 0;

create table metric_observations as
select
    sample,
    three_digits(observed) as observation,
    cast(1 as hugeint) as number
from metric_samples
where observed is not null
union all
select
    sample,
    case when isinf(bound) then beyond() else nanos(bound) end as observation,
    number
from histogram_buckets;
