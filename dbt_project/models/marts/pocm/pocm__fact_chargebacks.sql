{{
    config(
        materialized='partition_replace',
        date_column='chargeback_date',
        order_by=['tenant_id', 'opened_at', 'payment_id', 'event_id'],
        touched_by=['payment'],
        linked_by=['payment'],
        tags=['hourly'],
    )
}}

with
chargebacks as (
    select * from {{ ref('stg_pocm__chargebacks') }}
    where {{ is_touched_event() }}
),

payments as (
    select * from {{ ref('pocm__fact_payments') }}
    where {{ is_linked('payment_date') }}
),

captures as (
    {{ pocm_first_captures('payments') }}
)

select
    opened.tenant_id,
    opened.chargeback_id,
    opened.event_id,
    opened.occurred_date as chargeback_date,
    opened.occurred_at as opened_at,
    opened.payment_id,
    opened.order_id,
    opened.user_key,
    opened.currency,
    opened.amount,
    opened.reason,
    opened.received_at,
    coalesce(captures.captured_gateway, 'unknown') as gateway,
    coalesce(captures.captured_method, 'unknown') as method
from chargebacks as opened
left join captures on opened.tenant_id = captures.tenant_id and opened.payment_id = captures.payment_id
