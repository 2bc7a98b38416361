-- The KPIs of a period; money is divided in whole ten-thousandths and truncated, as the marts state.
create macro money_per(total, number) as
case when number > 0 then
    cast(cast(total * 10000 as hugeint) // number as decimal(22, 0)) * cast(0.0001 as decimal(4, 4))
end;

create macro ratio(part, whole) as
case when whole > 0 then cast(part as double) / cast(whole as double) end;

create macro kpi(unit) as table
with
counted as (
    select
        tenant_id,
        date_trunc(unit, moment) as period,
        currency,
        coalesce(sum(amount) filter (fact = 'order'), 0) as gmv,
        count(*) filter (fact = 'order') as orders,
        coalesce(sum(quantity) filter (fact = 'order'), 0) as items_sold,
        count(distinct user_key) filter (fact = 'order') as unique_purchasers,
        count(*) filter (fact = 'session') as sessions,
        count(*) filter (fact = 'payment' and flag) as payments_captured,
        count(*) filter (fact = 'payment' and not flag) as payments_failed,
        coalesce(sum(amount) filter (fact = 'payment' and flag), 0) as payments_captured_amount,
        count(*) filter (fact = 'refund') as refunds,
        coalesce(sum(amount) filter (fact = 'refund'), 0) as refund_amount,
        count(*) filter (fact = 'order' and flag) as orders_refunded,
        count(*) filter (fact = 'search') as searches,
        count(*) filter (fact = 'search' and flag) as zero_result_searches,
        count(*) filter (fact = 'cart') as carts_created,
        count(*) filter (fact = 'cart' and flag) as carts_abandoned,
        coalesce(sum(quantity) filter (fact = 'return'), 0) as returns,
        coalesce(sum(quantity) filter (fact = 'item returned'), 0) as items_returned,
        count(*) filter (fact = 'shipment') as shipments,
        count(*) filter (fact = 'shipment' and flag) as rto,
        count(distinct device_id) filter (fact = 'telemetry') as active_devices,
        count(*) filter (fact = 'harm') as adverse_events,
        case when unit = 'day' then count(*) filter (fact = 'prescribed') end as patch_days_prescribed,
        case when unit = 'day' then count(*) filter (fact = 'prescribed' and flag) end as patch_days_valid
    from kpi_facts
    where unit = 'day' or fact <> 'prescribed'
    group by all
)

select
    *,
    ratio(payments_captured, sessions) as conversion_rate,
    money_per(gmv, orders) as aov,
    money_per(gmv, unique_purchasers) as arpu,
    ratio(payments_captured, payments_captured + payments_failed) as payment_success_rate,
    ratio(orders_refunded, orders) as refund_rate,
    ratio(zero_result_searches, searches) as zero_result_rate,
    ratio(carts_abandoned, carts_created) as cart_abandonment_rate,
    ratio(items_returned, items_sold) as return_rate,
    ratio(rto, shipments) as rto_rate,
    ratio(patch_days_valid, patch_days_prescribed) as device_adherence,
    ratio(adverse_events, active_devices) as adverse_event_rate
from counted;
