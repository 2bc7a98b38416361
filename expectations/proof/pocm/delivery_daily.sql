with
created as (
    select tenant_id, cast(created_at as date) as day, region, city, count(*) as shipped
    from shipments
    where created_at is not null
    group by all
),

arrived as (
    select
        tenant_id,
        delivery_date as day,
        region,
        city,
        count(*) as delivered,
        count(*) filter (is_on_time) as delivered_on_time,
        count(*) filter (is_on_time_latest_eta) as delivered_on_time_latest_eta,
        count(*) filter (delivered_attempt = 1) as delivered_first_attempt,
        count(delivery_ms) as delivered_timed,
        coalesce(sum(delivery_ms), 0) as delivery_ms
    from shipments
    where is_delivered
    group by all
),

undelivered as (
    select tenant_id, origin_return_date as day, region, city, count(*) as rto
    from shipments
    where is_returned_to_origin
    group by all
),

returned as (
    select tenant_id, return_date as day, region, city, sum(quantity) as items
    from returns
    group by all
)

select
    tenant_id,
    day,
    region,
    city,
    coalesce(shipped, 0) as shipped,
    coalesce(delivered, 0) as delivered,
    coalesce(delivered_on_time, 0) as delivered_on_time,
    coalesce(delivered_on_time_latest_eta, 0) as delivered_on_time_latest_eta,
    coalesce(delivered_first_attempt, 0) as delivered_first_attempt,
    coalesce(delivered_timed, 0) as delivered_timed,
    coalesce(delivery_ms, 0) as delivery_ms,
    coalesce(rto, 0) as rto,
    coalesce(items, 0) as returns,
    ratio(delivered_on_time, delivered) as on_time_rate,
    ratio(delivered_on_time_latest_eta, delivered) as on_time_latest_eta,
    ratio(delivered_first_attempt, delivered) as first_attempt_rate,
    ratio(delivery_ms, delivered_timed) / 3600000 as avg_delivery_hours
from created
full join arrived using (tenant_id, day, region, city)
full join undelivered using (tenant_id, day, region, city)
full join returned using (tenant_id, day, region, city)
