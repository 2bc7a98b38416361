-- One row per thing that a KPI counts, at its own moment and in its own currency.
create table kpi_facts as
with
refunded as (
    select distinct tenant_id, order_id
    from refunds
),

found as (
    select
        searches.tenant_id,
        searches.occurred_at,
        searches.results_count,
        coalesce(sessions.currency, 'XXX') as currency
    from shop_events as searches
    left join sessions using (tenant_id, session_id)
    where searches.event_type = 'SEARCH'
)

select
    tenant_id, placed_at as moment, currency, 'order' as fact, amount, quantity, user_key,
    refunded.order_id is not null as flag
from orders
left join refunded using (tenant_id, order_id)
union all by name
select tenant_id, started_at as moment, currency, 'session' as fact
from sessions
union all by name
select tenant_id, occurred_at as moment, currency, 'payment' as fact, amount, captured as flag
from payments
union all by name
select tenant_id, occurred_at as moment, currency, 'refund' as fact, amount
from refunds
union all by name
select tenant_id, occurred_at as moment, currency, 'search' as fact, results_count = 0 as flag
from found
union all by name
select tenant_id, created_at as moment, currency, 'cart' as fact, abandoned as flag
from carts
union all by name
select tenant_id, returned_at as moment, currency, 'return' as fact, quantity
from returns
union all by name
select returns.tenant_id, orders.placed_at as moment, orders.currency, 'item returned' as fact, returns.quantity
from returns
inner join orders using (tenant_id, order_id)
union all by name
select tenant_id, created_at as moment, currency, 'shipment' as fact, is_returned_to_origin as flag
from shipments
where created_at is not null
union all by name
select tenant_id, occurred_at as moment, 'XXX' as currency, 'telemetry' as fact, device_id
from device_events
where telemetry
union all by name
select tenant_id, occurred_at as moment, 'XXX' as currency, 'harm' as fact
from device_events
where event_type = 'ADVERSE_EVENT_REPORTED'
union all by name
select tenant_id, cast(day as timestamp_ms) as moment, 'XXX' as currency, 'prescribed' as fact, worn as flag
from prescription_days;
