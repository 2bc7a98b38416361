{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'batch_id', 'day'],
        touched_by=['order'],
        linked_by=['order'],
        tags=['hourly'],
    )
}}

-- What became known of a batch on a day, each fact at its own time. What names no batch is no batch's.
with
movements as (
    select * from {{ ref('pocm__fact_stock_movements') }}
    where {{ is_touched('movement_date') }}
),

lines as (
    select
        *,
        assumeNotNull(batch_id) as known_batch_id
    from {{ ref('int_pocm__order_lines_batched') }}
    where
        {{ is_linked('order_date') }}
        and batch_id is not null
),

returns as (
    select * from {{ ref('stg_pocm__returns') }}
    where {{ is_touched_event() }}
),

adverse_events as (
    select
        *,
        assumeNotNull(batch_id) as known_batch_id
    from {{ ref('stg_pocm__adverse_events') }}
    where
        {{ is_touched_event() }}
        and batch_id is not null
),

recalls as (
    select * from {{ ref('int_pocm__batches_recalled') }}
    where {{ is_touched('recalled_date') }}
),

-- What comes back belongs to the order's first line of the product whose batch is known.
sold_batches as (
    select
        tenant_id,
        order_id,
        product_id,
        argMin(known_batch_id, line_number) as known_batch_id
    from lines
    group by
        tenant_id,
        order_id,
        product_id
),

facts as (
    select
        tenant_id,
        batch_id,
        'stock' as fact,
        moved_at as known_at,
        event_id as known_by,
        toNullable(product_id) as named_product_id,
        toUInt64(if(movement_type = 'received', quantity, 0)) as items_received,
        toUInt64(0) as items_sold,
        toUInt64(0) as items_returned,
        '' as severity,
        expires_on as named_expires_on,
        cast(null, 'Nullable(String)') as named_reason
    from movements
    union all
    select
        tenant_id,
        known_batch_id as batch_id,
        'sale' as fact,
        placed_at as known_at,
        order_id as known_by,
        toNullable(product_id) as named_product_id,
        toUInt64(0) as items_received,
        toUInt64(quantity) as items_sold,
        toUInt64(0) as items_returned,
        '' as severity,
        cast(null, 'Nullable(Date32)') as named_expires_on,
        cast(null, 'Nullable(String)') as named_reason
    from lines
    where {{ is_touched('order_date') }}
    union all
    select
        returns.tenant_id,
        sold_batches.known_batch_id as batch_id,
        'return' as fact,
        returns.occurred_at as known_at,
        returns.event_id as known_by,
        toNullable(returns.product_id) as named_product_id,
        toUInt64(0) as items_received,
        toUInt64(0) as items_sold,
        toUInt64(returns.quantity) as items_returned,
        '' as severity,
        cast(null, 'Nullable(Date32)') as named_expires_on,
        cast(null, 'Nullable(String)') as named_reason
    from returns
    inner join sold_batches
        on
            returns.tenant_id = sold_batches.tenant_id
            and returns.order_id = sold_batches.order_id
            and returns.product_id = sold_batches.product_id
    union all
    select
        tenant_id,
        known_batch_id as batch_id,
        'adverse event' as fact,
        occurred_at as known_at,
        event_id as known_by,
        product_id as named_product_id,
        toUInt64(0) as items_received,
        toUInt64(0) as items_sold,
        toUInt64(0) as items_returned,
        severity,
        cast(null, 'Nullable(Date32)') as named_expires_on,
        cast(null, 'Nullable(String)') as named_reason
    from adverse_events
    union all
    select
        tenant_id,
        batch_id,
        'recall' as fact,
        recalled_at as known_at,
        event_id as known_by,
        toNullable(product_id) as named_product_id,
        toUInt64(0) as items_received,
        toUInt64(0) as items_sold,
        toUInt64(0) as items_returned,
        '' as severity,
        cast(null, 'Nullable(Date32)') as named_expires_on,
        toNullable(reason) as named_reason
    from recalls
)

select
    tenant_id,
    batch_id,
    toDate(known_at) as day,
    min(known_at) as first_known_at,
    minIf(toNullable(known_at), fact = 'stock' and items_received > 0) as first_received_at,
    argMinIf(named_product_id, (known_at, known_by), named_product_id is not null) as product_id,
    argMinIf(named_expires_on, (known_at, known_by), named_expires_on is not null) as expires_on,
    minIf(toNullable(known_at), fact = 'recall') as recalled_at,
    argMinIf(named_reason, (known_at, known_by), fact = 'recall') as recall_reason,
    sum(items_received) as received,
    sum(items_sold) as sold,
    sum(items_returned) as returned,
    countIf(fact = 'adverse event') as adverse_events,
    countIf(severity = 'mild') as adverse_events_mild,
    countIf(severity = 'moderate') as adverse_events_moderate,
    countIf(severity = 'severe') as adverse_events_severe,
    countIf(severity = 'fatal') as adverse_events_fatal,
    countIf(fact = 'adverse event' and severity is null) as adverse_events_unknown
from facts
group by
    tenant_id,
    batch_id,
    toDate(known_at)
