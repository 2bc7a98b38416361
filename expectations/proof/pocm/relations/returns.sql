-- What customers sent back: under the currency of its order, and where the order's first parcel went.
create table returns as
with
destinations as (
    select distinct on (tenant_id, order_id) tenant_id, order_id, region, city
    from logistics_events
    where event_type = 'SHIPMENT_CREATED'
    order by tenant_id, order_id, occurred_at, event_id
)

select
    back.tenant_id,
    back.event_id,
    cast(back.occurred_at as date) as return_date,
    back.occurred_at as returned_at,
    back.order_id,
    orders.placed_at,
    back.product_id,
    back.quantity,
    back.reason,
    coalesce(orders.currency, 'XXX') as currency,
    coalesce(destinations.region, 'unknown') as region,
    coalesce(destinations.city, 'unknown') as city,
    back.user_key,
    back.received_at
from logistics_events as back
left join orders using (tenant_id, order_id)
left join destinations using (tenant_id, order_id)
where back.event_type = 'RETURN_RECEIVED';
