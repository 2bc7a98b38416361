{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='activity_week',
        partition='week',
        order_by=['tenant_id', 'activity_week', 'cohort_week', 'currency'],
        touched_query='cohort_weeks_touched',
        touched_by=['order'],
        cohort_members='int_pocm__first_orders_found',
        linked_by=['order'],
        tags=['weekly'],
    )
}}

with
orders as (
    select
        placed.tenant_id,
        placed.order_id,
        placed.order_date,
        placed.placed_at,
        placed.event_id,
        placed.currency,
        placed.amount,
        assumeNotNull(placed.user_key) as user_key
    from {{ ref('pocm__fact_orders') }} as placed
    where
        {{ is_linked('placed.order_date') }}
        and placed.user_key is not null
),

refunds as (
    select * from {{ ref('pocm__fact_refunds') }}
    where {{ is_touched('refund_date') }}
),

first_orders as (
    select * from {{ ref('int_pocm__first_orders_found') }}
),

purchases as (
    select
        *,
        toMonday(order_date) as activity_week
    from orders
    where {{ is_touched('order_date') }}
),

-- Somebody who buys in two currencies in a week is one buyer, under the first of them.
weekly_buyers as (
    select
        tenant_id,
        user_key,
        activity_week,
        argMin(currency, (placed_at, event_id)) as currency
    from purchases
    group by
        tenant_id,
        user_key,
        activity_week
),

facts as (
    select
        tenant_id,
        user_key,
        activity_week,
        currency,
        'buyer' as fact,
        toDecimal64(0, 4) as amount
    from weekly_buyers
    union all
    select
        tenant_id,
        user_key,
        activity_week,
        currency,
        'order' as fact,
        amount
    from purchases
    union all
    select
        refunds.tenant_id,
        orders.user_key,
        toMonday(refunds.refund_date) as activity_week,
        refunds.currency,
        'refund' as fact,
        refunds.amount
    from refunds
    inner join orders on refunds.tenant_id = orders.tenant_id and refunds.order_id = orders.order_id
),

members as (
    select
        tenant_id,
        cohort_week,
        groupBitXor(cityHash64(user_key)) as members
    from first_orders
    group by
        tenant_id,
        cohort_week
),

cohort_facts as (
    select
        facts.tenant_id as tenant_id,  -- noqa: AL09
        facts.activity_week,
        facts.currency,
        facts.fact,
        facts.amount,
        first_orders.cohort_week as cohort_week  -- noqa: AL09
    from facts
    inner join first_orders
        on facts.tenant_id = first_orders.tenant_id and facts.user_key = first_orders.user_key
),

summed as (
    select
        tenant_id,
        activity_week,
        cohort_week,
        currency,
        cast(sumIf(amount, fact = 'order'), 'Decimal(18, 4)') as revenue,
        cast(sumIf(amount, fact = 'refund'), 'Decimal(18, 4)') as refund_amount,
        countIf(fact = 'buyer') as buyers,
        countIf(fact = 'order') as orders
    from cohort_facts
    where activity_week >= cohort_week
    group by
        tenant_id,
        activity_week,
        cohort_week,
        currency
)

select
    summed.tenant_id as tenant_id,  -- noqa: AL09
    summed.activity_week,
    summed.cohort_week as cohort_week,  -- noqa: AL09
    summed.currency,
    summed.buyers,
    summed.orders,
    summed.revenue,
    summed.refund_amount,
    members.members
from summed
inner join members on summed.tenant_id = members.tenant_id and summed.cohort_week = members.cohort_week
