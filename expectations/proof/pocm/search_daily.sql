with
tallies as (
    select
        tenant_id,
        day,
        case when grouping(query) = 0 then 'query' else 'all' end as scope,
        case when grouping(query) = 0 then query else '' end as query,
        cast(0 as bigint) as position,
        count(*) as searches,
        count(*) filter (len(places) > 0) as searches_clicked,
        sum(len(places)) as clicks,
        count(*) filter (results = 0) as zero_result_searches
    from searches
    group by grouping sets ((tenant_id, day), (tenant_id, day, query))
),

chosen as (
    select distinct
        tenant_id,
        day,
        unnest(places) as position
    from searches
),

lists as (
    select
        tenant_id,
        day,
        'position' as scope,
        '' as query,
        position,
        count(*) as searches,
        count(*) filter (list_contains(places, position)) as searches_clicked,
        sum(len(list_filter(places, lambda place: place = position))) as clicks
    from chosen
    inner join searches using (tenant_id, day)
    where results >= position or list_contains(places, position)
    group by all
),

lost as (
    select
        tenant_id,
        day,
        'all' as scope,
        '' as query,
        cast(0 as bigint) as position,
        count(*) as clicks_without_search
    from lost_clicks
    group by all
),

counted as (
    select * from tallies
    union all by name
    select * from lists
)

select
    tenant_id,
    day,
    scope,
    query,
    position,
    coalesce(searches, 0) as searches,
    coalesce(searches_clicked, 0) as searches_clicked,
    coalesce(clicks, 0) as clicks,
    coalesce(clicks_without_search, 0) as clicks_without_search,
    case when scope != 'position' then coalesce(zero_result_searches, 0) end as zero_result_searches,
    case when scope != 'position' then ratio(zero_result_searches, searches) end as zero_result_rate,
    ratio(searches_clicked, searches) as click_rate,
    case
        when scope = 'query' then rank() over (partition by tenant_id, day, scope order by searches desc)
    end as query_rank
from counted
full join lost using (tenant_id, day, scope, query, position)
