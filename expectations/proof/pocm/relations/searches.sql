-- Every search with the places in its list that were chosen. Of searches under one id, the first is the one clicked in.
create table searches as
with
asked as (
    select
        tenant_id,
        event_id,
        cast(occurred_at as date) as day,
        json_extract_string(payload, '$.search_id') as search_id,
        json_extract_string(payload, '$.query') as query,
        cast(json_extract_string(payload, '$.results_count') as bigint) as results,
        row(occurred_at, event_id) = min(row(occurred_at, event_id)) over (partition by tenant_id, search_id) as is_first
    from events
    where event_type = 'SEARCH'
),

clicks as (
    select
        tenant_id,
        json_extract_string(payload, '$.search_id') as search_id,
        list(cast(json_extract_string(payload, '$.position') as bigint)) as places
    from events
    where event_type = 'SEARCH_RESULT_CLICKED'
    group by all
)

select
    asked.tenant_id,
    asked.day,
    asked.query,
    asked.results,
    case when asked.is_first and clicks.places is not null then clicks.places else [] end as places
from asked
left join clicks using (tenant_id, search_id);

-- Clicks whose search never came.
create table lost_clicks as
select
    tenant_id,
    cast(occurred_at as date) as day
from events
where
    event_type = 'SEARCH_RESULT_CLICKED'
    and not exists (
        select 1
        from events as search
        where
            search.event_type = 'SEARCH'
            and search.tenant_id = events.tenant_id
            and json_extract_string(search.payload, '$.search_id') = json_extract_string(events.payload, '$.search_id')
    );
