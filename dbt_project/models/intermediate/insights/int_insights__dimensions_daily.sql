{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'day', 'name', 'dimension'],
        tags=['hourly'],
    )
}}

with
samples as (
    select * from {{ ref('int_insights__metric_samples') }}
    where {{ is_touched_event() }}
),

told as (
    select
        samples.tenant_id as tenant_id,  -- noqa: AL09
        samples.occurred_date as day,
        samples.name as name,  -- noqa: AL09
        dimension,
        told_value,
        count() as samples
    from samples
    array join
        mapKeys(samples.dimensions) as dimension,
        mapValues(samples.dimensions) as told_value
    group by
        tenant_id,
        day,
        name,
        dimension,
        told_value
)

-- Of the values with the most samples, whenever and in whatever order they came.
select
    tenant_id,
    day,
    name,
    dimension,
    count() as distinct_values,
    sum(samples) as samples_of_dimension,
    arrayMap(
        ranked -> tupleElement(ranked, 2),
        groupArraySorted({{ insights_dimension_limit() }})((-toInt64(samples), told_value))
    ) as kept_values
from told
group by
    tenant_id,
    day,
    name,
    dimension
