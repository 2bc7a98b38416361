-- Every event of parcels and returns, with the fields that the marts read; times are UTC, to the millisecond.
create macro utc_of(text) as date_trunc('millisecond', cast(cast(text as timestamptz) as timestamp));

create table logistics_events as
select
    event_type,
    tenant_id,
    event_id,
    user_key,
    occurred_at,
    received_at,
    payload ->> '$.shipment_id' as shipment_id,
    payload ->> '$.order_id' as order_id,
    payload ->> '$.warehouse_id' as warehouse_id,
    payload ->> '$.region' as region,
    payload ->> '$.city' as city,
    payload ->> '$.carrier' as carrier,
    payload ->> '$.product_id' as product_id,
    payload ->> '$.reason' as reason,
    utc_of(payload ->> '$.eta') as eta,
    utc_of(payload ->> '$.delivered_at') as delivered_at,
    cast(payload ->> '$.attempt' as bigint) as attempt,
    cast(payload ->> '$.success' as boolean) as success,
    cast(payload ->> '$.quantity' as bigint) as quantity,
    row_number() over (
        partition by tenant_id, event_type, payload ->> '$.shipment_id' order by occurred_at, event_id
    ) as place
from events
where
    event_type in (
        'SHIPMENT_CREATED', 'ETA_REVISED', 'DELIVERY_ATTEMPTED', 'SHIPMENT_DELIVERED',
        'SHIPMENT_RETURNED_TO_ORIGIN', 'RETURN_RECEIVED'
    );
