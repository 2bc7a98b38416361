-- Every tracked event with the fields that the marts read.
create table tracked as
with
parsed as (
    select
        event_type,
        tenant_id,
        event_id,
        occurred_at,
        session_id,
        device_id,
        user_key,
        order_id,
        json_extract_string(
            payload,
            [
                '$.event_name', '$.visitor_id', '$.ip', '$.ticketed_event_id', '$.campaign_id', '$.country', '$.city',
                '$.device_type', '$.browser', '$.is_bot', '$.order_id', '$.tickets', '$.amount', '$.currency',
                '$.experiment', '$.variant'
            ]
        ) as field
    from events
    where event_type in ('page_view', 'click', 'conversion', 'custom')
)

select
    event_type,
    tenant_id,
    event_id,
    occurred_at,
    session_id as producer_session,
    coalesce(field[2], device_id, user_key, field[3]) as visitor_key,
    user_key,
    field[1] as event_name,
    field[4] as ticketed_event_id,
    field[5] as campaign_id,
    field[6] as country,
    field[7] as city,
    field[8] as device_type,
    field[9] as browser,
    coalesce(field[10] = 'true', false) as is_bot,
    coalesce(field[11], order_id) as order_id,
    cast(field[12] as bigint) as tickets,
    cast(field[13] as decimal(18, 4)) as amount,
    field[14] as currency,
    field[15] as experiment,
    field[16] as variant
from parsed;
