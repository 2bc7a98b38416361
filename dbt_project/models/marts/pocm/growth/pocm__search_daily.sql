{{
    config(
        materialized='partition_replace',
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'day', 'scope', 'position', 'query'],
        touched_by=['search'],
        linked_by=['search'],
        tags=['daily'],
    )
}}

with
searches as (
    select * from {{ ref('pocm__fact_searches') }}
    where {{ is_linked('search_date') }}
),

clicks as (
    select * from {{ ref('stg_pocm__search_clicks') }}
    where {{ is_linked_event() }}
),

clicks_of_search as (
    select
        tenant_id,
        search_id,
        count() as clicks,
        groupArray(position) as positions
    from clicks
    group by
        tenant_id,
        search_id
),

-- An id that was searched twice: the clicks belong to its first event.
numbered as (
    select
        *,
        row_number() over (
            partition by tenant_id, search_id
            order by searched_at, event_id
        ) as occurrence
    from searches
),

followed as (
    select
        numbered.tenant_id as tenant_id,  -- noqa: AL09
        numbered.search_date as day,
        numbered.query as query,  -- noqa: AL09
        numbered.results_count as results,
        if(numbered.occurrence = 1, clicks_of_search.clicks, 0) as clicks,
        if(numbered.occurrence = 1, clicks_of_search.positions, []) as positions
    from numbered
    left join clicks_of_search
        on numbered.tenant_id = clicks_of_search.tenant_id and numbered.search_id = clicks_of_search.search_id
),

lost_clicks as (
    select
        tenant_id,
        occurred_date as day,
        count() as clicks_without_search
    from clicks
    where
        (tenant_id, search_id) not in (
            select
                searches.tenant_id,
                searches.search_id
            from searches
        )
    group by
        tenant_id,
        occurred_date
),

list_lengths as (
    select
        tenant_id,
        day,
        results,
        count() as searches
    from followed
    group by
        tenant_id,
        day,
        results
),

chosen as (
    select
        tenant_id,
        day,
        results,
        position,
        countEqual(positions, position) as clicks
    from followed
    array join arrayDistinct(positions) as position
),

choices as (
    select
        tenant_id,
        day,
        position,
        sum(clicks) as clicks_there,
        count() as searches_clicked,
        countIf(position > results) as clicked_beyond_results
    from chosen
    group by
        tenant_id,
        day,
        position
),

-- A result stood at a place where the search found that many, and wherever somebody chose it.
places as (
    select
        choices.tenant_id as tenant_id,  -- noqa: AL09
        choices.day as day,  -- noqa: AL09
        choices.position as position,  -- noqa: AL09
        any(choices.clicks_there) as clicks,
        any(choices.searches_clicked) as searches_clicked,
        sumIf(list_lengths.searches, list_lengths.results >= choices.position)
        + any(choices.clicked_beyond_results) as searches
    from choices
    inner join list_lengths on choices.tenant_id = list_lengths.tenant_id and choices.day = list_lengths.day
    group by
        choices.tenant_id,
        choices.day,
        choices.position
),

facts as (
    select
        tenant_id,
        day,
        'all' as scope,
        '' as query,
        toInt64(0) as position,
        toBool(results = 0) as is_empty,
        toBool(clicks > 0) as is_clicked,
        clicks,
        true as is_search,
        toUInt64(0) as clicks_without_search
    from followed
    union all
    select
        tenant_id,
        day,
        'all' as scope,
        '' as query,
        toInt64(0) as position,
        false as is_empty,
        false as is_clicked,
        toUInt64(0) as clicks,
        false as is_search,
        clicks_without_search
    from lost_clicks
    union all
    select
        tenant_id,
        day,
        'query' as scope,
        query,
        toInt64(0) as position,
        toBool(results = 0) as is_empty,
        toBool(clicks > 0) as is_clicked,
        clicks,
        true as is_search,
        toUInt64(0) as clicks_without_search
    from followed
),

counted as (
    select
        tenant_id,
        day,
        scope,
        query,
        position,
        countIf(is_search) as searches,
        countIf(is_search and is_empty) as empty_searches,
        countIf(is_search and is_clicked) as searches_clicked,
        sum(clicks) as clicks,
        sum(clicks_without_search) as clicks_without_search
    from facts
    group by
        tenant_id,
        day,
        scope,
        query,
        position
    union all
    select
        tenant_id,
        day,
        'position' as scope,
        '' as query,
        position,
        searches,
        0 as empty_searches,
        searches_clicked,
        clicks,
        0 as clicks_without_search
    from places
)

select
    tenant_id,
    day,
    scope,
    query,
    position,
    searches,
    searches_clicked,
    clicks,
    clicks_without_search,
    if(scope = 'position', null, empty_searches) as zero_result_searches,
    if(scope = 'position', null, {{ ratio('empty_searches', 'searches') }}) as zero_result_rate,
    {{ ratio('searches_clicked', 'searches') }} as click_rate,
    if(
        scope = 'query',
        toNullable(rank() over by_searches),
        null
    ) as query_rank
from counted
window by_searches as (
    partition by tenant_id, day, scope
    order by searches desc
)
