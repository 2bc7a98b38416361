{{
    config(
        materialized='partition_replace',
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'product_id', 'warehouse_id', 'day'],
        touched_query='pocm_inventory_touched',
        touched_keys=['tenant_id', 'product_id', 'warehouse_id'],
        tags=['daily'],
    )
}}

-- A row carries on from the row of the day before. Of a shelf, a product in a warehouse, that a run restates from a day
-- on, the 90 days before are worked out too, which the trailing windows look back on; they open with the stored row of
-- the day before those.
with
shelves as (
    {{ pocm_inventory_shelves() }}
),

look_back as (
    select min(looks_back_to) as first_day from shelves
),

last_days as (
    select
        tenant_id,
        max(day) as last_day
    from {{ ref('int_pocm__stock_daily') }}
    group by tenant_id
),

moved as (
    select stock_days.*
    from {{ ref('int_pocm__stock_daily') }} as stock_days
    inner join shelves
        on
            stock_days.tenant_id = shelves.tenant_id
            and stock_days.product_id = shelves.product_id
            and stock_days.warehouse_id = shelves.warehouse_id
    where
        stock_days.day >= shelves.looks_back_to
        and stock_days.day >= (select look_back.first_day from look_back)
),

thresholds as (
    select *
    from {{ ref('int_pocm__reorder_thresholds_changed') }}
    where
        (tenant_id, product_id, warehouse_id) in (
            select
                shelves.tenant_id,
                shelves.product_id,
                shelves.warehouse_id
            from shelves
        )
),

recalls as (
    select * from {{ ref('int_pocm__batches_recalled') }}
),

-- The whole history of what was ever recalled: a recall finds what is left of the batch.
recalled_days as (
    select *
    from {{ ref('int_pocm__stock_daily') }}
    where
        (tenant_id, batch_id) in (
            select
                recalls.tenant_id,
                recalls.batch_id
            from recalls
        )
        and (tenant_id, product_id, warehouse_id) in (
            select
                shelves.tenant_id,
                shelves.product_id,
                shelves.warehouse_id
            from shelves
        )
),

recall_starts as (
    select
        tenant_id,
        batch_id,
        min(recalled_date) as recalled_from
    from recalls
    group by
        tenant_id,
        batch_id
),

recall_steps as (
    select
        recalled_days.tenant_id,
        recalled_days.product_id,
        recalled_days.warehouse_id,
        recalled_days.batch_id,
        recall_starts.recalled_from,
        recalled_days.day,
        recalled_days.net_quantity
    from recalled_days
    inner join recall_starts
        on recalled_days.tenant_id = recall_starts.tenant_id and recalled_days.batch_id = recall_starts.batch_id
    union all
    select
        recalled_days.tenant_id,
        recalled_days.product_id,
        recalled_days.warehouse_id,
        recalled_days.batch_id,
        recall_starts.recalled_from,
        recall_starts.recalled_from as day,
        toInt64(0) as net_quantity
    from recalled_days
    inner join recall_starts
        on recalled_days.tenant_id = recall_starts.tenant_id and recalled_days.batch_id = recall_starts.batch_id
),

recall_days as (
    select
        tenant_id,
        product_id,
        warehouse_id,
        batch_id,
        recalled_from,
        day,
        sum(net_quantity) as net_of_day
    from recall_steps
    group by
        tenant_id,
        product_id,
        warehouse_id,
        batch_id,
        recalled_from,
        day
),

recall_levels as (
    select
        tenant_id,
        product_id,
        warehouse_id,
        batch_id,
        day,
        if(day < recalled_from, 0, greatest(sum(net_of_day) over batch_days, 0)) as held_quantity
    from recall_days
    window batch_days as (
        partition by tenant_id, product_id, warehouse_id, batch_id
        order by day
        rows between unbounded preceding and current row
    )
),

recall_changes as (
    select
        tenant_id,
        product_id,
        warehouse_id,
        day,
        held_quantity - lagInFrame(held_quantity, 1, 0) over batch_days as recalled_change
    from recall_levels
    window batch_days as (
        partition by tenant_id, product_id, warehouse_id, batch_id
        order by day
        rows between unbounded preceding and current row
    )
),

digests as (
    {{ pocm_inventory_digests('moved', 'thresholds', 'recalls', 'recalled_days') }}
),

openings as (
    {{ pocm_inventory_openings('shelves') }}
),

changes as (
    select
        tenant_id,
        product_id,
        warehouse_id,
        day,
        recalled_change,
        toUInt64(0) as digest
    from recall_changes
    union all
    select
        tenant_id,
        product_id,
        warehouse_id,
        day,
        toInt64(0) as recalled_change,
        digest
    from digests
),

flows as (
    select
        tenant_id,
        product_id,
        warehouse_id,
        day,
        movements,
        net_quantity,
        arrived_quantity,
        received_quantity,
        received_cost,
        shipped_quantity,
        shipped_cost,
        lost_quantity,
        toInt64(0) as recalled_change,
        toUInt64(0) as digest
    from moved
    union all
    select
        tenant_id,
        product_id,
        warehouse_id,
        day,
        toUInt64(0) as movements,
        stock_on_hand as net_quantity,
        toUInt64(0) as arrived_quantity,
        received_to_date as received_quantity,
        received_cost_to_date as received_cost,
        shipped_to_date as shipped_quantity,
        shipped_cost_to_date as shipped_cost,
        toUInt64(0) as lost_quantity,
        toInt64(recalled_quantity) as recalled_change,
        toUInt64(0) as digest
    from openings
    union all
    select
        changes.tenant_id,
        changes.product_id,
        changes.warehouse_id,
        changes.day,
        toUInt64(0) as movements,
        toInt64(0) as net_quantity,
        toUInt64(0) as arrived_quantity,
        toUInt64(0) as received_quantity,
        toDecimal128(0, 4) as received_cost,
        toUInt64(0) as shipped_quantity,
        toDecimal128(0, 4) as shipped_cost,
        toUInt64(0) as lost_quantity,
        changes.recalled_change,
        changes.digest
    from changes
    inner join shelves
        on
            changes.tenant_id = shelves.tenant_id
            and changes.product_id = shelves.product_id
            and changes.warehouse_id = shelves.warehouse_id
    where changes.day >= shelves.looks_back_to
),

known_days as (
    select
        tenant_id,
        product_id,
        warehouse_id,
        day
    from moved
    union all
    select
        tenant_id,
        product_id,
        warehouse_id,
        day
    from openings
),

spans as (
    select
        known_days.tenant_id,
        known_days.product_id,
        known_days.warehouse_id,
        min(known_days.day) as first_day,
        any(last_days.last_day) as final_day
    from known_days
    inner join last_days on known_days.tenant_id = last_days.tenant_id
    group by
        known_days.tenant_id,
        known_days.product_id,
        known_days.warehouse_id
),

calendar as (
    select
        tenant_id,
        product_id,
        warehouse_id,
        arrayJoin(
            arrayMap(n -> first_day + n, range(toUInt32(greatest(toInt32(final_day - first_day) + 1, 0))))
        ) as day
    from spans
),

flows_of_day as (
    select
        tenant_id,
        product_id,
        warehouse_id,
        day,
        sum(movements) as movements,
        sum(net_quantity) as net_quantity,
        sum(arrived_quantity) as arrived_quantity,
        sum(received_quantity) as received_quantity,
        sum(received_cost) as received_cost,
        sum(shipped_quantity) as shipped_quantity,
        sum(shipped_cost) as shipped_cost,
        sum(lost_quantity) as lost_quantity,
        sum(recalled_change) as recalled_change,
        sum(digest) as digest
    from flows
    group by
        tenant_id,
        product_id,
        warehouse_id,
        day
),

days as (
    select
        calendar.tenant_id,
        calendar.product_id,
        calendar.warehouse_id,
        calendar.day,
        flows_of_day.movements,
        flows_of_day.net_quantity,
        flows_of_day.arrived_quantity,
        flows_of_day.received_quantity,
        flows_of_day.received_cost,
        flows_of_day.shipped_quantity,
        flows_of_day.shipped_cost,
        flows_of_day.lost_quantity,
        flows_of_day.recalled_change,
        flows_of_day.digest
    from calendar
    left join flows_of_day
        on
            calendar.tenant_id = flows_of_day.tenant_id
            and calendar.product_id = flows_of_day.product_id
            and calendar.warehouse_id = flows_of_day.warehouse_id
            and calendar.day = flows_of_day.day
),

running as (
    select
        *,
        sum(net_quantity) over history as stock_on_hand,
        sum(received_quantity) over history as received_to_date,
        sum(received_cost) over history as received_cost_to_date,
        sum(shipped_quantity) over history as shipped_to_date,
        sum(shipped_cost) over history as shipped_cost_to_date,
        sum(recalled_change) over history as recalled_quantity,
        sum(arrived_quantity) over last_31_days as arrived_in_31_days,
        sum(arrived_quantity) over last_61_days as arrived_in_61_days,
        sum(arrived_quantity) over last_91_days as arrived_in_91_days
    from days
    window
        history as (
            partition by tenant_id, product_id, warehouse_id
            order by day
            rows between unbounded preceding and current row
        ),
        last_31_days as (
            partition by tenant_id, product_id, warehouse_id
            order by day
            rows between 30 preceding and current row
        ),
        last_61_days as (
            partition by tenant_id, product_id, warehouse_id
            order by day
            rows between 60 preceding and current row
        ),
        last_91_days as (
            partition by tenant_id, product_id, warehouse_id
            order by day
            rows between 90 preceding and current row
        )
),

valued as (
    select
        *,
        stock_on_hand - net_quantity as opening_stock,
        greatest(stock_on_hand, 0) as shelf_quantity,
        -- First in, first out: what is left are the newest arrivals.
        least(shelf_quantity, toInt64(arrived_in_31_days)) as left_of_31_days,
        least(shelf_quantity, toInt64(arrived_in_61_days)) as left_of_61_days,
        least(shelf_quantity, toInt64(arrived_in_91_days)) as left_of_91_days,
        if(
            received_to_date > 0,
            {{ money_per('received_cost_to_date', 'received_to_date') }},
            {{ money_per('shipped_cost_to_date', 'shipped_to_date') }}
        ) as average_unit_cost,
        toDecimal128(shelf_quantity, 0) * average_unit_cost as stock_value
    from running
),

trailing as (
    select
        *,
        sum(shipped_quantity) over last_28_days as units_sold_28d,
        sum(shipped_cost) over last_30_days as cost_shipped_30d,
        sum(stock_value) over last_30_days as stock_value_30d,
        count(stock_value) over last_30_days as days_valued_30d
    from valued
    window
        last_28_days as (
            partition by tenant_id, product_id, warehouse_id
            order by day
            rows between 27 preceding and current row
        ),
        last_30_days as (
            partition by tenant_id, product_id, warehouse_id
            order by day
            rows between 29 preceding and current row
        )
),

thresholds_of_day as (
    select
        tenant_id,
        product_id,
        warehouse_id,
        changed_date,
        toNullable(argMax(threshold, (changed_at, event_id))) as threshold
    from thresholds
    group by
        tenant_id,
        product_id,
        warehouse_id,
        changed_date
),

restated as (
    select trailing.*
    from trailing
    inner join shelves
        on
            trailing.tenant_id = shelves.tenant_id
            and trailing.product_id = shelves.product_id
            and trailing.warehouse_id = shelves.warehouse_id
    where trailing.day >= shelves.first_date
)

select
    restated.tenant_id,
    restated.product_id,
    restated.warehouse_id,
    restated.day,
    restated.movements,
    restated.opening_stock,
    restated.stock_on_hand,
    restated.units_sold_28d,
    restated.average_unit_cost,
    restated.stock_value,
    restated.cost_shipped_30d,
    restated.days_valued_30d,
    restated.received_to_date,
    restated.received_cost_to_date,
    restated.shipped_to_date,
    restated.shipped_cost_to_date,
    restated.digest,
    restated.received_quantity as received,
    restated.shipped_quantity as units_sold,
    restated.lost_quantity as shrinkage,
    restated.shipped_cost as cost_shipped,
    thresholds_of_day.threshold as reorder_threshold,
    toUInt64(restated.recalled_quantity) as recalled_quantity,
    coalesce(restated.stock_value_30d, toDecimal128(0, 4)) as stock_value_30d,
    toBool(restated.opening_stock > 0 and restated.stock_on_hand <= 0) as stockout,
    cast(restated.stock_on_hand < thresholds_of_day.threshold, 'Nullable(Bool)') as below_reorder_threshold,
    toUInt64(restated.left_of_31_days) as quantity_age_0_30,
    toUInt64(restated.left_of_61_days - restated.left_of_31_days) as quantity_age_31_60,
    toUInt64(restated.left_of_91_days - restated.left_of_61_days) as quantity_age_61_90,
    toUInt64(restated.shelf_quantity - restated.left_of_91_days) as quantity_age_over_90,
    {{ ratio('restated.stock_on_hand * 28', 'restated.units_sold_28d') }} as days_of_cover,
    if(
        restated.opening_stock + toInt64(restated.received_quantity) <= 0,
        null,
        restated.lost_quantity / (restated.opening_stock + toInt64(restated.received_quantity))
    ) as shrinkage_rate,
    if(
        stock_value_30d = 0,
        null,
        toFloat64(restated.cost_shipped_30d) * toFloat64(restated.days_valued_30d) / toFloat64(stock_value_30d)
    ) as turnover_30d
from restated
asof left join thresholds_of_day
    on
        restated.tenant_id = thresholds_of_day.tenant_id
        and restated.product_id = thresholds_of_day.product_id
        and restated.warehouse_id = thresholds_of_day.warehouse_id
        and restated.day >= thresholds_of_day.changed_date
