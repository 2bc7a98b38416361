{{
    config(
        materialized='partition_replace',
        date_column='search_date',
        order_by=['tenant_id', 'searched_at', 'event_id'],
        touched_by=['session'],
        linked_by=['session'],
        tags=['hourly'],
    )
}}

with
searches as (
    select * from {{ ref('stg_pocm__searches') }}
    where {{ is_touched_event() }}
),

sessions as (
    select
        tenant_id,
        toNullable(session_id) as session_id,
        toNullable(currency) as session_currency
    from {{ ref('pocm__fact_sessions') }}
    where {{ is_linked('session_date') }}
)

select
    searches.tenant_id,
    searches.search_id,
    searches.event_id,
    searches.occurred_date as search_date,
    searches.occurred_at as searched_at,
    searches.session_id,
    searches.user_key,
    searches.query,
    searches.results_count,
    searches.channel,
    searches.latency_ms,
    searches.received_at,
    coalesce(sessions.session_currency, 'XXX') as currency,
    toBool(searches.results_count = 0) as is_zero_result
from searches
left join sessions on searches.tenant_id = sessions.tenant_id and searches.session_id = sessions.session_id
