{{ config(materialized='view', tags=['daily']) }}

-- A view: what it sums up are days, and nobody asks it often enough to keep it.
with
days as (
    select * from {{ ref('insights__metric_values_day') }}
),

dimensions as (
    select
        tenant_id,
        name,
        dimension,
        max(distinct_values) as most_values
    from {{ ref('int_insights__dimensions_daily') }}
    group by
        tenant_id,
        name,
        dimension
),

metrics as (
    select
        tenant_id,
        name,
        type,
        unit,
        uniqExact(dimensions_text) as series,
        min(first_at) as first_seen_at,
        max(last_at) as last_seen_at,
        uniqExact(day) as days,
        sum(samples) as points
    from days
    group by
        tenant_id,
        name,
        type,
        unit
),

described as (
    select
        tenant_id,
        name,
        arraySort(groupArray((dimension, most_values))) as busiest
    from dimensions
    group by
        tenant_id,
        name
)

select
    metrics.tenant_id as tenant_id,  -- noqa: AL09
    metrics.name as name,  -- noqa: AL09
    metrics.type as type,  -- noqa: AL09
    metrics.unit as unit,  -- noqa: AL09
    metrics.series,
    metrics.first_seen_at,
    metrics.last_seen_at,
    metrics.days,
    metrics.points,
    tupleElement(described.busiest, 1) as dimension_names,
    mapFromArrays(dimension_names, tupleElement(described.busiest, 2)) as dimension_cardinality,
    {{ insights_dimensions_beyond_limit('described.busiest') }} as folded_dimensions
from metrics
left join described on metrics.tenant_id = described.tenant_id and metrics.name = described.name
