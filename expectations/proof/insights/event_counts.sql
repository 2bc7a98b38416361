with
told as (
    select
        tenant_id,
        date_trunc('hour', moment) as hour,
        event_type,
        user_key,
        json_type(payload, '$.attributes.name') as kind,
        json_extract_string(payload, '$.attributes.name') as text
    from told_events
    where event_type <> 'SYSTEM_METRIC'
)

select
    tenant_id,
    hour,
    event_type,
    case when kind = 'VARCHAR' then text else '' end as name,
    count(*) as events,
    count(distinct user_key) as users
from told
group by all
