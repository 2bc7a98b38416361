with
told as (
    select
        tenant_id,
        experiment,
        coalesce(visitor_key, session) as subject,
        event_name,
        arg_min(variant, row(occurred_at, event_id)) as variant,
        min(occurred_at) as told_at
    from placed
    where
        event_type = 'custom'
        and event_name in ('experiment_assigned', 'experiment_exposed')
        and not is_bot
        and coalesce(visitor_key, session) is not null
        and experiment is not null
        and variant is not null
    group by all
),

outcomes as (
    select
        told.*,
        max(conversions.occurred_at) as converted_at
    from told
    left join conversions
        on
            told.event_name = 'experiment_exposed'
            and told.tenant_id = conversions.tenant_id
            and told.subject = conversions.subject
            and conversions.occurred_at >= told.told_at
    group by all
),

variants as (
    select
        tenant_id,
        experiment,
        variant,
        count(*) filter (event_name = 'experiment_assigned') as assigned,
        count(*) filter (event_name = 'experiment_exposed') as exposed,
        count(converted_at) as converted,
        cast(greatest(max(told_at), max(converted_at)) as date) as last_day
    from outcomes
    group by all
),

judged as (
    select
        *,
        ratio(converted, exposed) as conversion_rate,
        variant = first_value(variant) over (
            partition by tenant_id, experiment order by variant <> 'control', variant
        ) as is_control
    from variants
),

compared as (
    select
        judged.*,
        control.converted as converted0,
        control.exposed as n0,
        control.conversion_rate as p0,
        case when not judged.is_control then judged.conversion_rate - control.conversion_rate end as lift
    from judged
    inner join judged as control using (tenant_id, experiment)
    where control.is_control
),

pooled as (
    select
        *,
        1.959963984540054::double * sqrt(
            conversion_rate * (1 - conversion_rate) / exposed + p0 * (1 - p0) / n0
        ) as margin,
        ratio(converted + converted0, exposed + n0) as p
    from compared
)

select
    tenant_id,
    experiment,
    variant,
    is_control,
    assigned,
    exposed,
    converted,
    conversion_rate,
    lift,
    case when lift is not null then lift - margin end as lift_lower,
    case when lift is not null then lift + margin end as lift_upper,
    case when p0 > 0 then lift / p0 end as relative_lift,
    case when p > 0 and p < 1 then lift / sqrt(p * (1 - p) * (1 / exposed + 1 / n0)) end as z_score,
    last_day
from pooled
