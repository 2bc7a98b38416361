-- What comes into a warehouse and what leaves it, one row for each end of a movement.
create table stock_moves as
with
told as (
    select
        tenant_id,
        event_id,
        event_type,
        occurred_at,
        json_extract_string(
            payload,
            [
                '$.product_id', '$.warehouse_id', '$.from', '$.to', '$.batch_id', '$.quantity', '$.delta',
                '$.unit_cost', '$.reason', '$.order_id', '$.expires_on'
            ]
        ) as field
    from events
    where event_type in ('STOCK_RECEIVED', 'STOCK_SHIPPED', 'STOCK_ADJUSTED', 'STOCK_TRANSFERRED')
),

ends as (
    select
        *,
        unnest(
            case event_type
                when 'STOCK_RECEIVED' then [{house: field[2], sign: 1}]
                when 'STOCK_SHIPPED' then [{house: field[2], sign: -1}]
                when 'STOCK_ADJUSTED' then [{house: field[2], sign: 1}]
                else [{house: field[3], sign: -1}, {house: field[4], sign: 1}]
            end
        ) as side
    from told
)

select
    tenant_id,
    event_id,
    event_type,
    occurred_at,
    cast(occurred_at as date) as day,
    field[1] as product_id,
    side.house as warehouse_id,
    field[5] as batch_id,
    side.sign * cast(coalesce(field[6], field[7]) as bigint) as quantity,
    cast(field[8] as decimal(18, 4)) as unit_cost,
    field[9] as reason,
    field[10] as order_id,
    cast(field[11] as date) as expires_on
from ends;
