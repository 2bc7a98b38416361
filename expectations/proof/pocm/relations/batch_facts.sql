-- Everything that is known of production batches: receipts, sales, returns, adverse events, recalls.
create table batch_facts as
with
lines as (
    select
        tenant_id,
        order_id,
        placed_at,
        generate_subscripts(items, 1) as line,
        json_extract_string(unnest(items), '$.product_id') as product_id,
        json_extract_string(unnest(items), '$.batch_id') as batch_id,
        cast(json_extract_string(unnest(items), '$.quantity') as bigint) as quantity
    from (
        select
            tenant_id,
            json_extract_string(payload, '$.order_id') as order_id,
            first(occurred_at order by occurred_at, event_id) as placed_at,
            first(cast(json_extract(payload, '$.items') as json []) order by occurred_at, event_id) as items
        from events
        where event_type = 'ORDER_PLACED'
        group by all
    )
),

packed as (
    select
        tenant_id,
        order_id,
        product_id,
        first(batch_id order by occurred_at, event_id) as packed_batch_id
    from stock_moves
    where event_type = 'STOCK_SHIPPED'
    group by all
),

sold as (
    select
        tenant_id,
        order_id,
        line,
        placed_at,
        product_id,
        coalesce(batch_id, packed_batch_id) as batch_id,
        quantity
    from lines
    left join packed using (tenant_id, order_id, product_id)
),

sold_first as (
    select
        tenant_id,
        order_id,
        product_id,
        first(batch_id order by line) as batch_id
    from sold
    where batch_id is not null
    group by all
),

sent_back as (
    select
        tenant_id,
        event_id,
        occurred_at,
        json_extract_string(payload, '$.order_id') as order_id,
        json_extract_string(payload, '$.product_id') as product_id,
        cast(json_extract_string(payload, '$.quantity') as bigint) as quantity
    from events
    where event_type = 'RETURN_RECEIVED'
)

select
    tenant_id,
    batch_id,
    product_id,
    'received' as fact,
    occurred_at,
    event_id,
    quantity,
    null as severity
from stock_moves
where event_type = 'STOCK_RECEIVED'
union all
select
    tenant_id,
    batch_id,
    product_id,
    'moved' as fact,
    occurred_at,
    event_id,
    0 as quantity,
    null as severity
from stock_moves
where event_type != 'STOCK_RECEIVED'
union all
select
    tenant_id,
    batch_id,
    product_id,
    'sold' as fact,
    placed_at as occurred_at,
    order_id as event_id,
    quantity,
    null as severity
from sold
where batch_id is not null
union all
select
    tenant_id,
    batch_id,
    product_id,
    'returned' as fact,
    occurred_at,
    event_id,
    quantity,
    null as severity
from sent_back
inner join sold_first using (tenant_id, order_id, product_id)
union all
select
    tenant_id,
    json_extract_string(payload, '$.batch_id') as batch_id,
    json_extract_string(payload, '$.product_id') as product_id,
    case event_type when 'BATCH_RECALLED' then 'recalled' else 'harm' end as fact,
    occurred_at,
    event_id,
    1 as quantity,
    json_extract_string(payload, '$.severity') as severity
from events
where
    event_type in ('ADVERSE_EVENT_REPORTED', 'BATCH_RECALLED')
    and json_extract_string(payload, '$.batch_id') is not null;
