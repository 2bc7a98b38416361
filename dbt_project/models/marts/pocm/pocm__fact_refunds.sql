{{
    config(
        materialized='partition_replace',
        date_column='refund_date',
        order_by=['tenant_id', 'refunded_at', 'refund_id', 'event_id'],
        touched_by=['payment'],
        linked_by=['payment'],
        tags=['hourly'],
    )
}}

with
refunds as (
    select * from {{ ref('stg_pocm__refunds') }}
    where {{ is_touched_event() }}
),

issued as (
    select * from {{ ref('int_pocm__order_events_unioned') }}
    where
        {{ is_linked('occurred_date') }}
        and event_type = 'REFUND_ISSUED'
),

payments as (
    select * from {{ ref('pocm__fact_payments') }}
    where {{ is_linked('payment_date') }}
),

captures as (
    {{ pocm_first_captures('payments') }}
),

running as (
    select
        tenant_id,
        event_id,
        sum(amount) over (
            partition by tenant_id, payment_id
            order by occurred_at, event_id
            rows between unbounded preceding and current row
        ) as refunded_so_far
    from issued
)

select
    -- A column that three joined relations share is named with its relation by ClickHouse, unless it has an alias.
    refunds.tenant_id as tenant_id,  -- noqa: AL09
    refunds.refund_id,
    refunds.event_id as event_id,  -- noqa: AL09
    refunds.occurred_date as refund_date,
    refunds.occurred_at as refunded_at,
    refunds.payment_id as payment_id,  -- noqa: AL09
    refunds.order_id,
    refunds.user_key,
    refunds.currency,
    refunds.amount,
    refunds.reason,
    refunds.received_at,
    coalesce(captures.captured_gateway, 'unknown') as gateway,
    coalesce(captures.captured_method, 'unknown') as method,
    toBool(coalesce(running.refunded_so_far < captures.captured_amount, false)) as is_partial
from refunds
inner join running on refunds.tenant_id = running.tenant_id and refunds.event_id = running.event_id
left join captures on refunds.tenant_id = captures.tenant_id and refunds.payment_id = captures.payment_id
