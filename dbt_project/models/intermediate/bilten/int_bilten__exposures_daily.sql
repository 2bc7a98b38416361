{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'experiment', 'subject_key', 'day'],
        tags=['daily'],
    )
}}

with
events as (
    select * from {{ ref('bilten__fact_events') }}
    where
        {{ is_touched('event_date') }}
        and not is_bot
        and event_type = 'custom'
        and event_name in ('experiment_assigned', 'experiment_exposed')
        and experiment is not null
        and variant is not null
        and (visitor_key is not null or session_id is not null)
)

select
    tenant_id,
    event_date as day,
    assumeNotNull(experiment) as experiment,
    assumeNotNull(coalesce(visitor_key, session_id)) as subject_key,
    toBool(coalesce(event_name = 'experiment_exposed', false)) as is_exposure,
    argMin(assumeNotNull(variant), (occurred_at, event_id)) as first_variant,
    min(occurred_at) as first_at,
    argMin(event_id, (occurred_at, event_id)) as first_event_id
from events
group by
    tenant_id,
    day,
    experiment,
    subject_key,
    is_exposure
