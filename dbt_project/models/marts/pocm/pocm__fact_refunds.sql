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
    where {{ is_linked_event() }}
),

payments as (
    select * from {{ ref('stg_pocm__payments') }}
    where {{ is_linked_event() }}
),

captures as (
    {{ pocm_first_captures('payments') }}
),

running as (
    select
        *,
        sum(amount) over (
            partition by tenant_id, payment_id
            order by occurred_at, event_id
            rows between unbounded preceding and current row
        ) as refunded_so_far
    from refunds
)

select
    running.tenant_id,
    running.refund_id,
    running.event_id,
    running.occurred_date as refund_date,
    running.occurred_at as refunded_at,
    running.payment_id,
    running.order_id,
    running.user_key,
    running.currency,
    running.amount,
    running.reason,
    running.received_at,
    coalesce(captures.captured_gateway, 'unknown') as gateway,
    coalesce(captures.captured_method, 'unknown') as method,
    toBool(coalesce(running.refunded_so_far < captures.captured_amount, false)) as is_partial
from running
left join captures on running.tenant_id = captures.tenant_id and running.payment_id = captures.payment_id
