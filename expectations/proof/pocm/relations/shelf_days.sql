-- Every day of a product in a warehouse, from its first movement to the tenant's last day with any, with what moved on it
-- and how much had come and gone by its end.
create table shelf_days as
with
ends as (
    select
        tenant_id,
        max(day) as last_day
    from stock_moves
    group by tenant_id
),

begins as (
    select
        tenant_id,
        product_id,
        warehouse_id,
        min(day) as first_day
    from stock_moves
    group by all
),

calendar as (
    select
        tenant_id,
        product_id,
        warehouse_id,
        cast(unnest(generate_series(first_day, last_day, interval 1 day)) as date) as day
    from begins
    inner join ends using (tenant_id)
),

moved as (
    select
        tenant_id,
        product_id,
        warehouse_id,
        day,
        count(*) as movements,
        sum(quantity) as net,
        sum(quantity) filter (quantity > 0) as arrived,
        sum(quantity) filter (event_type = 'STOCK_RECEIVED') as received,
        sum(quantity * unit_cost) filter (event_type = 'STOCK_RECEIVED') as received_cost,
        -sum(quantity) filter (event_type = 'STOCK_SHIPPED') as shipped,
        -sum(quantity * unit_cost) filter (event_type = 'STOCK_SHIPPED') as shipped_cost,
        -sum(quantity) filter (reason = 'shrinkage' and quantity < 0) as lost
    from stock_moves
    group by all
)

select
    tenant_id,
    product_id,
    warehouse_id,
    day,
    coalesce(movements, 0) as movements,
    cast(coalesce(net, 0) as bigint) as net,
    cast(coalesce(received, 0) as bigint) as received,
    cast(coalesce(shipped, 0) as bigint) as shipped,
    cast(coalesce(shipped_cost, 0) as decimal(38, 4)) as shipped_cost,
    cast(coalesce(lost, 0) as bigint) as lost,
    cast(coalesce(sum(net) over so_far, 0) as bigint) as stock,
    cast(coalesce(sum(arrived) over so_far, 0) as bigint) as arrived_so_far,
    cast(coalesce(sum(received) over so_far, 0) as bigint) as received_so_far,
    cast(coalesce(sum(received_cost) over so_far, 0) as decimal(38, 4)) as received_cost_so_far,
    cast(coalesce(sum(shipped) over so_far, 0) as bigint) as shipped_so_far,
    cast(coalesce(sum(shipped_cost) over so_far, 0) as decimal(38, 4)) as shipped_cost_so_far
from calendar
left join moved using (tenant_id, product_id, warehouse_id, day)
window so_far as (partition by tenant_id, product_id, warehouse_id order by day);
