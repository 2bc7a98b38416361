{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'product_id', 'warehouse_id', 'batch_id', 'day'],
        tags=['daily'],
    )
}}

with
movements as (
    select * from {{ ref('pocm__fact_stock_movements') }}
    where {{ is_touched('movement_date') }}
)

select
    tenant_id,
    product_id,
    warehouse_id,
    batch_id,
    movement_date as day,
    count() as movements,
    sum(quantity) as net_quantity,
    toUInt64(sumIf(quantity, quantity > 0)) as arrived_quantity,
    toUInt64(sumIf(quantity, movement_type = 'received')) as received_quantity,
    sumIf(coalesce(cost, toDecimal128(0, 4)), movement_type = 'received') as received_cost,
    toUInt64(sumIf(-quantity, movement_type = 'shipped')) as shipped_quantity,
    sumIf(-coalesce(cost, toDecimal128(0, 4)), movement_type = 'shipped') as shipped_cost,
    toUInt64(sumIf(-quantity, reason = 'shrinkage' and quantity < 0)) as lost_quantity,
    sum(cityHash64(event_id, movement_type, quantity, coalesce(unit_cost, 0), coalesce(reason, ''))) as digest
from movements
group by
    tenant_id,
    product_id,
    warehouse_id,
    batch_id,
    movement_date
