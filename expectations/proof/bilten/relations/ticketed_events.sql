-- Every ticketed event as its newest change row has it.
create table ticketed_events as
select
    tenant_id,
    ticketed_event_id,
    max(cast(occurred_at as date)) as changed_on,
    arg_max(state, row(version, occurred_at, event_id)) as state
from (
    select
        tenant_id,
        occurred_at,
        event_id,
        json_extract_string(payload, '$.ticketed_event_id') as ticketed_event_id,
        cast(json_extract_string(payload, '$.version') as bigint) as version,
        {
            'event_name': json_extract_string(payload, '$.name'),
            'category': json_extract_string(payload, '$.category'),
            'starts_at': make_timestamp(epoch_ms(cast(json_extract_string(payload, '$.starts_at') as timestamptz)) * 1000),
            'capacity': cast(json_extract_string(payload, '$.capacity') as bigint)
        } as state
    from events
    where event_type = 'ticketed_events'
)
group by all;
