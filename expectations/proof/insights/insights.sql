with
strongest as (
    select *
    from judged_hours
    where score >= 80000
    qualify
        row_number() over (
            partition by tenant_id, day, name, type, unit, dimensions_text
            order by score desc, abs(deviation) desc, hour, place
        ) = 1
)

select
    tenant_id,
    day,
    row_number() over (
        partition by tenant_id, day order by score desc, abs(deviation) desc, name, type, unit, dimensions_text
    ) as rank,
    name,
    type,
    unit,
    dimensions,
    dimensions_text,
    hour,
    aspect,
    as_decimal(observed) as observed,
    as_decimal(expected) as expected,
    as_decimal(deviation) as deviation,
    as_decimal(spread) as spread,
    cast(cast(score as decimal(29, 0)) * cast(0.0001 as decimal(4, 4)) as decimal(38, 4)) as score,
    case when is_weekly then 'weekly' else 'recent' end as baseline,
    len(known) as baseline_points
from strongest
qualify rank <= 10
