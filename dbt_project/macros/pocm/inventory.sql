{#- The shelves, products in warehouses, that a run restates in inventory_daily, each from its first changed day on.

    A day of a shelf has changed when the digest of what bears on it differs from the stored one; a shelf also gains or
    loses days with the tenant's last day. -#}
{%- macro pocm_inventory_touched() %}
        with
        dates as (
            {{ touched_dates('pocm') }}
        ),

        moved as (
            select * from {{ ref('int_pocm__stock_daily') }}
            where day in (select dates.occurred_date from dates)
        ),

        thresholds as (
            select * from {{ ref('int_pocm__reorder_thresholds_changed') }}
            where changed_date in (select dates.occurred_date from dates)
        ),

        recalls as (
            select * from {{ ref('int_pocm__batches_recalled') }}
            where recalled_date in (select dates.occurred_date from dates)
        ),

        recalled_days as (
            select * from {{ ref('int_pocm__stock_daily') }}
            where (tenant_id, batch_id) in (select recalls.tenant_id, recalls.batch_id from recalls)
        ),

        digests as (
            {{ pocm_inventory_digests('moved', 'thresholds', 'recalls', 'recalled_days') }}
        ),

        compared as (
            select
                tenant_id,
                product_id,
                warehouse_id,
                day,
                sum(new_digest) != sum(held_digest) as is_changed,
                max(is_held) as is_held,
                sum(new_movements) as new_movements
            from (
                select
                    tenant_id,
                    product_id,
                    warehouse_id,
                    day,
                    digest as new_digest,
                    toUInt64(0) as held_digest,
                    false as is_held,
                    movements as new_movements
                from digests
                union all
                select
                    tenant_id,
                    product_id,
                    warehouse_id,
                    day,
                    toUInt64(0) as new_digest,
                    digest as held_digest,
                    true as is_held,
                    toUInt64(0) as new_movements
                from {{ this }}
                where day in (select dates.occurred_date from dates)
            )
            group by
                tenant_id,
                product_id,
                warehouse_id,
                day
        ),

        last_days as (
            select
                tenant_id,
                max(held_day) as held_last_day,
                max(new_day) as new_last_day
            from (
                select tenant_id, toDate(0) as held_day, max(day) as new_day
                from {{ ref('int_pocm__stock_daily') }}
                group by tenant_id
                union all
                select tenant_id, max(day) as held_day, toDate(0) as new_day
                from {{ this }}
                group by tenant_id
            )
            group by tenant_id
        )

        select
            changes.tenant_id as tenant_id,
            changes.product_id as product_id,
            changes.warehouse_id as warehouse_id,
            min(changes.day) as first_date,
            max(greatest(last_days.held_last_day, last_days.new_last_day)) as last_date
        from (
            select tenant_id, product_id, warehouse_id, day
            from compared
            -- A threshold or a recall outside a shelf's days waits for them.
            where is_changed and (is_held or new_movements > 0)
            union all
            -- A recall that comes late finds batches that reached the shelf after it.
            select
                held.tenant_id,
                held.product_id,
                held.warehouse_id,
                greatest(min(held.day), recalled.recalled_date) as day
            from recalled_days as held
            inner join recalls as recalled
                on held.tenant_id = recalled.tenant_id and held.batch_id = recalled.batch_id
            group by
                held.tenant_id,
                held.product_id,
                held.warehouse_id,
                held.batch_id,
                recalled.recalled_date
            union all
            select
                held.tenant_id,
                held.product_id,
                held.warehouse_id,
                least(last_days.held_last_day, last_days.new_last_day) + 1 as day
            from {{ this }} as held
            inner join last_days on held.tenant_id = last_days.tenant_id and held.day = last_days.held_last_day
            where
                last_days.held_last_day != last_days.new_last_day
                and held.day in (select last_days.held_last_day from last_days)
        ) as changes
        inner join last_days on changes.tenant_id = last_days.tenant_id
        group by
            changes.tenant_id,
            changes.product_id,
            changes.warehouse_id
{%- endmacro -%}

{#- What bears on each day of each shelf, as one number: movements, thresholds, and recalls of batches that it has held
    by then. The arguments are relations like int_pocm__stock_daily, int_pocm__reorder_thresholds_changed,
    int_pocm__batches_recalled, and the stock days of the recalled batches. -#}
{%- macro pocm_inventory_digests(moved, thresholds, recalls, recalled_days) -%}
    select
        tenant_id,
        product_id,
        warehouse_id,
        day,
        sum(movements) as movements,
        sum(digest) as digest
    from (
        select
            tenant_id,
            product_id,
            warehouse_id,
            day,
            movements,
            digest
        from {{ moved }}
        union all
        select
            tenant_id,
            product_id,
            warehouse_id,
            changed_date as day,
            toUInt64(0) as movements,
            cityHash64(event_id, changed_at, threshold) as digest
        from {{ thresholds }}
        union all
        select distinct
            held.tenant_id,
            held.product_id,
            held.warehouse_id,
            recalled.recalled_date as day,
            toUInt64(0) as movements,
            cityHash64(recalled.event_id, recalled.batch_id) as digest
        from {{ recalled_days }} as held
        inner join {{ recalls }} as recalled
            on held.tenant_id = recalled.tenant_id and held.batch_id = recalled.batch_id
        where held.day <= recalled.recalled_date
    )
    group by
        tenant_id,
        product_id,
        warehouse_id,
        day
{%- endmacro -%}

{#- The shelves of this run, each with the day it is restated from and the first of the days that its windows look back
    on: all of them from their first movement on where everything is rebuilt. -#}
{%- macro pocm_inventory_shelves() -%}
    {%- if rebuilds_touched_dates() -%}
    select
        tenant_id,
        product_id,
        warehouse_id,
        first_date,
        {{ days_before('first_date', 90) }} as looks_back_to
    from {{ working_relation('touched_keys') }}
    {%- else -%}
    select
        tenant_id,
        product_id,
        warehouse_id,
        min(day) as first_date,
        min(day) as looks_back_to
    from {{ ref('int_pocm__stock_daily') }}
    group by
        tenant_id,
        product_id,
        warehouse_id
    {%- endif -%}
{%- endmacro -%}

{#- The stored row of each shelf that stands right before the days it looks back on; none where everything is rebuilt. -#}
{%- macro pocm_inventory_openings(shelves) -%}
    {%- if rebuilds_touched_dates() -%}
    select
        held.tenant_id,
        held.product_id,
        held.warehouse_id,
        held.day,
        held.stock_on_hand,
        held.recalled_quantity,
        held.received_to_date,
        held.received_cost_to_date,
        held.shipped_to_date,
        held.shipped_cost_to_date
    from {{ this }} as held
    inner join {{ shelves }} as restated
        on
            held.tenant_id = restated.tenant_id
            and held.product_id = restated.product_id
            and held.warehouse_id = restated.warehouse_id
    where
        held.day < restated.looks_back_to
        and held.day = {{ days_before('restated.first_date', 91) }}
        and held.day in (select {{ days_before('first_date', 91) }} from {{ shelves }})
    {%- else -%}
    select
        tenant_id,
        product_id,
        warehouse_id,
        first_date as day,
        toInt64(0) as stock_on_hand,
        toUInt64(0) as recalled_quantity,
        toUInt64(0) as received_to_date,
        toDecimal128(0, 4) as received_cost_to_date,
        toUInt64(0) as shipped_to_date,
        toDecimal128(0, 4) as shipped_cost_to_date
    from {{ shelves }}
    where false
    {%- endif -%}
{%- endmacro -%}
