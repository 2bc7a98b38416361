-- A parcel is what any event names as one. It was created, delivered and sent back by the first event that says so;
-- its last promise is the one that stood when it was delivered.
create table shipments as
with
named as (
    select tenant_id, shipment_id, min(occurred_at) as first_event_at, count(*) filter (event_type = 'ETA_REVISED') as eta_revisions
    from logistics_events
    where shipment_id is not null and event_type != 'RETURN_RECEIVED'
    group by all
),

created as (
    select * from logistics_events
    where event_type = 'SHIPMENT_CREATED' and place = 1
),

delivered as (
    select * from logistics_events
    where event_type = 'SHIPMENT_DELIVERED' and place = 1
),

sent_back as (
    select * from logistics_events
    where event_type = 'SHIPMENT_RETURNED_TO_ORIGIN' and place = 1
),

standing as (
    select promise.tenant_id, promise.shipment_id, promise.eta
    from logistics_events as promise
    left join delivered using (tenant_id, shipment_id)
    where
        (promise.event_type = 'SHIPMENT_CREATED' and promise.place = 1)
        or (
            promise.event_type = 'ETA_REVISED'
            and (delivered.delivered_at is null or promise.occurred_at <= delivered.delivered_at)
        )
    qualify row_number() over (
        partition by promise.tenant_id, promise.shipment_id order by promise.occurred_at desc, promise.event_id desc
    ) = 1
),

tried as (
    select
        tenant_id,
        shipment_id,
        max(attempt) as attempts,
        first(attempt order by occurred_at, event_id) filter (success) as succeeded
    from logistics_events
    where event_type = 'DELIVERY_ATTEMPTED'
    group by all
)

select
    named.tenant_id,
    named.shipment_id,
    cast(coalesce(created.occurred_at, named.first_event_at) as date) as shipment_date,
    created.order_id,
    created.warehouse_id,
    coalesce(created.region, 'unknown') as region,
    coalesce(created.city, 'unknown') as city,
    created.carrier,
    coalesce(orders.currency, 'XXX') as currency,
    created.occurred_at as created_at,
    created.eta as first_promised_eta,
    standing.eta as last_promised_eta,
    named.eta_revisions,
    coalesce(tried.attempts, 0) as attempts,
    case
        when delivered.event_id is not null then coalesce(tried.succeeded, coalesce(tried.attempts, 0) + 1)
    end as delivered_attempt,
    delivered.delivered_at,
    cast(delivered.occurred_at as date) as delivery_date,
    epoch_ms(delivered.delivered_at) - epoch_ms(created.occurred_at) as delivery_ms,
    sent_back.occurred_at as returned_to_origin_at,
    cast(sent_back.occurred_at as date) as origin_return_date,
    sent_back.reason as origin_return_reason,
    delivered.event_id is not null as is_delivered,
    delivered.delivered_at <= created.eta as is_on_time,
    delivered.delivered_at <= standing.eta as is_on_time_latest_eta,
    sent_back.event_id is not null as is_returned_to_origin
from named
left join created using (tenant_id, shipment_id)
left join delivered using (tenant_id, shipment_id)
left join sent_back using (tenant_id, shipment_id)
left join standing using (tenant_id, shipment_id)
left join tried using (tenant_id, shipment_id)
left join orders on named.tenant_id = orders.tenant_id and created.order_id = orders.order_id;
