with
words as (
    select
        tenant_id,
        name,
        day,
        pair[1] as word,
        count(distinct pair[2]) as said
    from (select tenant_id, name, day, unnest(sent_pairs) as pair from metric_samples)
    group by all
),

most as (
    select
        tenant_id,
        name,
        word,
        max(said) as said
    from words
    group by all
),

dimensions as (
    select
        tenant_id,
        name,
        list(word order by word) as dimension_names,
        map_from_entries(list({'k': word, 'v': cast(said as ubigint)} order by word)) as dimension_cardinality,
        coalesce(list(word order by word) filter (said > 100), []) as folded_dimensions
    from most
    group by all
)

select
    tenant_id,
    metric_samples.name,
    metric_samples.type,
    metric_samples.unit,
    coalesce(any_value(dimension_names), []) as dimension_names,
    coalesce(any_value(dimension_cardinality), map_from_entries(cast([] as struct(k varchar, v ubigint)[])))
        as dimension_cardinality,
    coalesce(any_value(folded_dimensions), []) as folded_dimensions,
    count(distinct coalesce(dimensions_text, '')) as series,
    min(moment) as first_seen_at,
    max(moment) as last_seen_at,
    count(distinct day) as days,
    count(*) as points
from metric_samples
left join dimensions using (tenant_id, name)
group by all
