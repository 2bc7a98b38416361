-- First in, first out: what left took the oldest first, so what is older than n days is what had arrived by then less
-- everything that left.
with
priced as (
    select
        *,
        case
            when received_so_far > 0 then money_per(received_cost_so_far, received_so_far)
            else money_per(shipped_cost_so_far, shipped_so_far)
        end as unit_value,
        arrived_so_far - stock as gone_so_far
    from shelf_days
),

looking_back as (
    select
        today.tenant_id,
        today.product_id,
        today.warehouse_id,
        today.day,
        any_value(today.gone_so_far) as gone,
        coalesce(max(before.arrived_so_far) filter (before.day <= today.day - 31), 0) as arrived_31_days_ago,
        coalesce(max(before.arrived_so_far) filter (before.day <= today.day - 61), 0) as arrived_61_days_ago,
        coalesce(max(before.arrived_so_far) filter (before.day <= today.day - 91), 0) as arrived_91_days_ago,
        sum(before.shipped) filter (before.day > today.day - 28) as sold_28d,
        sum(before.shipped_cost) filter (before.day > today.day - 30) as cost_30d,
        sum(greatest(before.stock, 0) * before.unit_value) filter (before.day > today.day - 30) as value_30d,
        count(before.unit_value) filter (before.day > today.day - 30) as valued_30d
    from priced as today
    inner join priced as before
        on
            today.tenant_id = before.tenant_id
            and today.product_id = before.product_id
            and today.warehouse_id = before.warehouse_id
            and before.day between today.day - 91 and today.day
    group by today.tenant_id, today.product_id, today.warehouse_id, today.day
),

set_thresholds as (
    select
        tenant_id,
        json_extract_string(payload, '$.product_id') as product_id,
        json_extract_string(payload, '$.warehouse_id') as warehouse_id,
        cast(occurred_at as date) as day,
        arg_max(cast(json_extract_string(payload, '$.threshold') as bigint), row(occurred_at, event_id)) as threshold
    from events
    where event_type = 'REORDER_THRESHOLD_SET'
    group by all
),

recalls as (
    select
        tenant_id,
        json_extract_string(payload, '$.batch_id') as batch_id,
        min(cast(occurred_at as date)) as recalled_on
    from events
    where event_type = 'BATCH_RECALLED'
    group by all
),

recalled_batches as (
    select
        shelf_days.tenant_id,
        shelf_days.product_id,
        shelf_days.warehouse_id,
        shelf_days.day,
        moved.batch_id,
        greatest(sum(moved.quantity), 0) as held
    from shelf_days
    inner join recalls on shelf_days.tenant_id = recalls.tenant_id and shelf_days.day >= recalls.recalled_on
    inner join stock_moves as moved
        on
            shelf_days.tenant_id = moved.tenant_id
            and shelf_days.product_id = moved.product_id
            and shelf_days.warehouse_id = moved.warehouse_id
            and recalls.batch_id = moved.batch_id
            and moved.day <= shelf_days.day
    group by all
),

recalled as (
    select
        tenant_id,
        product_id,
        warehouse_id,
        day,
        cast(sum(held) as bigint) as quantity
    from recalled_batches
    group by all
),

aged as (
    select
        tenant_id,
        product_id,
        warehouse_id,
        day,
        sold_28d,
        cost_30d,
        coalesce(value_30d, 0) as value_30d,
        valued_30d,
        greatest(arrived_31_days_ago - gone, 0) as older_than_30,
        greatest(arrived_61_days_ago - gone, 0) as older_than_60,
        greatest(arrived_91_days_ago - gone, 0) as older_than_90
    from looking_back
)

select
    priced.tenant_id,
    priced.day,
    priced.product_id,
    priced.warehouse_id,
    priced.movements,
    priced.stock - priced.net as opening_stock,
    priced.received,
    priced.shipped as units_sold,
    priced.lost as shrinkage,
    priced.stock as stock_on_hand,
    cast(aged.sold_28d as bigint) as units_sold_28d,
    ratio(priced.stock * 28, aged.sold_28d) as days_of_cover,
    priced.stock - priced.net > 0 and priced.stock <= 0 as stockout,
    set_thresholds.threshold as reorder_threshold,
    priced.stock < set_thresholds.threshold as below_reorder_threshold,
    priced.unit_value as average_unit_cost,
    greatest(priced.stock, 0) * priced.unit_value as stock_value,
    priced.shipped_cost as cost_shipped,
    aged.cost_30d as cost_shipped_30d,
    aged.value_30d as stock_value_30d,
    aged.valued_30d as days_valued_30d,
    case
        when aged.value_30d > 0
            then cast(aged.cost_30d as double) * cast(aged.valued_30d as double) / cast(aged.value_30d as double)
    end as turnover_30d,
    ratio(priced.lost, priced.stock - priced.net + priced.received) as shrinkage_rate,
    greatest(priced.stock, 0) - aged.older_than_30 as quantity_age_0_30,
    aged.older_than_30 - aged.older_than_60 as quantity_age_31_60,
    aged.older_than_60 - aged.older_than_90 as quantity_age_61_90,
    aged.older_than_90 as quantity_age_over_90,
    coalesce(recalled.quantity, 0) as recalled_quantity,
    priced.received_so_far as received_to_date,
    priced.received_cost_so_far as received_cost_to_date,
    priced.shipped_so_far as shipped_to_date,
    priced.shipped_cost_so_far as shipped_cost_to_date
from priced
inner join aged using (tenant_id, product_id, warehouse_id, day)
left join recalled using (tenant_id, product_id, warehouse_id, day)
asof left join set_thresholds
    on
        priced.tenant_id = set_thresholds.tenant_id
        and priced.product_id = set_thresholds.product_id
        and priced.warehouse_id = set_thresholds.warehouse_id
        and priced.day >= set_thresholds.day
