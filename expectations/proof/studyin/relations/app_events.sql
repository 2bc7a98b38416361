-- Every event with the fields that the marts read; learning is all that is not of the system.
create macro ratio(part, whole) as
    case when whole != 0 then cast(part as double) / cast(whole as double) end;
create macro at_share(numbers, share) as
    list_sort(numbers)[1 + cast(floor(cast(share as double) * len(numbers)) as bigint)];

create table app_events as
with
parsed as (
    select
        event_type,
        tenant_id,
        session_id,
        user_key,
        occurred_at,
        event_id,
        json_extract_string(
            payload,
            [
                '$.duration_s', '$.xp', '$.material_type', '$.clicks', '$.score', '$.level', '$.achievement',
                '$.days', '$.conversation_id', '$.latency_ms', '$.tokens', '$.rating', '$.path', '$.status'
            ]
        ) as field
    from events
)

select
    event_type,
    tenant_id,
    session_id,
    user_key,
    occurred_at,
    event_id,
    cast(occurred_at as date) as day,
    date_trunc('hour', occurred_at) as hour,
    event_type not in ('api_request', 'system_error') as is_learning,
    cast(field[1] as bigint) as duration_s,
    cast(field[2] as bigint) as xp,
    field[3] as material_type,
    cast(field[4] as bigint) as clicks,
    cast(floor(10000 * cast(field[5] as double) + 0.5) as bigint) as score_units,
    cast(field[6] as bigint) as level,
    field[7] as achievement,
    cast(field[8] as bigint) as days,
    field[9] as conversation_id,
    cast(field[10] as bigint) as latency_ms,
    cast(field[11] as bigint) as tokens,
    cast(field[12] as bigint) as rating,
    field[13] as path,
    cast(field[14] as bigint) as status
from parsed;
