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
        tenant_id,
        occurred_date as day,
        name,
        arrayJoin(arrayZip(mapKeys(dimensions), mapValues(dimensions))) as told_dimension
    from samples
),

counted as (
    select
        tenant_id,
        day,
        name,
        tupleElement(told_dimension, 1) as dimension,
        tupleElement(told_dimension, 2) as told_value,
        count() as number_of_samples
    from told
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
    sum(number_of_samples) as samples_of_dimension,
    arrayMap(
        ranked -> tupleElement(ranked, 2),
        arraySlice(
            arraySort(groupArray((-toInt64(number_of_samples), told_value))), 1, {{ insights_dimension_limit() }}
        )
    ) as kept_values
from counted
group by
    tenant_id,
    day,
    name,
    dimension
