-- Every sample of a metric with the dimensions that its series goes by, and what it observed by itself.
-- Numbers are counts of 1e-9: whole numbers add up exactly in any order.
create macro nanos(number) as
    cast(trunc(number) as hugeint) * 1000000000 + cast(floor((number - trunc(number)) * 1e9 + 0.5) as hugeint);

create macro as_decimal(number) as cast(number as decimal(29, 0)) * cast(0.000000001 as decimal(9, 9));

create table metric_samples as
with
parsed as (
    select
        tenant_id,
        event_id,
        moment,
        day,
        json_extract_string(payload, '$.attributes.name') as name,
        lower(json_extract_string(payload, '$.attributes.type')) as type,
        coalesce(json_extract_string(payload, '$.attributes.unit'), '') as unit,
        nanos(cast(json_extract_string(payload, '$.attributes.value') as double)) as reading,
        cast(json_extract_string(payload, '$.attributes.count') as double) as told_count,
        nanos(cast(json_extract_string(payload, '$.attributes.sum') as double)) as told_sum,
        json_extract(payload, '$.attributes.buckets[*]') as buckets,
        json_extract(payload, '$.attributes.quantiles[*]') as quantiles,
        json_extract(payload, '$.attributes.dimensions') as sent
    from told_events
    where event_type = 'SYSTEM_METRIC'
),

numbered as (
    select
        row_number() over () as sample,
        *,
        list_sort(
            list_zip(
                coalesce(json_keys(sent), []), coalesce(json_extract_string(sent, '$.*'), [])
            )
        ) as pairs
    from parsed
),

-- A dimension with more than a hundred values on a day keeps the hundred that most samples carry.
spoken as (
    select sample, tenant_id, name, day, unnest(pairs) as pair
    from numbered
),

said_by_day as (
    select
        tenant_id,
        name,
        day,
        pair[1] as word,
        pair[2] as said,
        count(*) as samples
    from spoken
    group by all
),

known as (
    select
        *,
        row_number() over (partition by tenant_id, name, day, word order by samples desc, said) as place
    from said_by_day
),

folded as (
    select
        spoken.sample,
        list(
            struct_pack(
                word := known.word,
                said := case when known.place > 100 then '__other__' else known.said end
            )
            order by known.word
        ) as pairs
    from spoken
    inner join known
        on
            spoken.tenant_id = known.tenant_id
            and spoken.name = known.name
            and spoken.day = known.day
            and spoken.pair[1] = known.word
            and spoken.pair[2] = known.said
    group by spoken.sample
),

-- A counter is differenced within its series as it was sent.
differenced as (
    select
        sample,
        lag(reading) over series as reading_before,
        lag(day) over series as day_before
    from numbered
    where type = 'counter' and reading is not null
    window series as (partition by tenant_id, name, unit, pairs order by moment, event_id)
),

grown as (
    select
        *,
        day_before is not null and day - day_before <= 7 as is_known
    from differenced inner join numbered using (sample)
),

increases as (
    select
        sample,
        is_known and reading < reading_before as is_reset,
        case when is_known then case when reading < reading_before then reading else reading - reading_before end end
            as increase
    from grown
),

single as (
    select
        numbered.sample,
        coalesce(increases.is_reset, false) as is_reset,
        coalesce(list_max(list_transform(buckets, lambda b: cast(b ->> 'count' as double))), 0) as last_bucket,
        case
            when type = 'counter' then increases.increase
            when type = 'gauge' then reading
            when told_count is null and len(coalesce(buckets, [])) = 0 then reading
        end as observed
    from numbered left join increases using (sample)
)

select
    numbered.* exclude (pairs, sent),
    numbered.pairs as sent_pairs,
    coalesce(folded.pairs, []) as pairs,
    list_aggregate(
        list_transform(
            coalesce(folded.pairs, []),
            lambda p: regexp_replace(p.word, '([\\,=])', '\\\1', 'g')
            || '=' || regexp_replace(p.said, '([\\,=])', '\\\1', 'g')
        ),
        'string_agg', ','
    ) as dimensions_text,
    single.is_reset,
    single.observed,
    cast(
        case
            when single.observed is not null then 1
            when type in ('counter', 'gauge') then 0
            else greatest(coalesce(told_count, 0), single.last_bucket)
        end as hugeint
    ) as observations,
    coalesce(single.observed, case when type not in ('counter', 'gauge') then told_sum end) as total
from numbered
inner join single using (sample)
left join folded using (sample);
