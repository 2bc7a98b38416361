{{
    config(
        materialized='partition_replace',
        date_column='payment_date',
        order_by=['tenant_id', 'attempted_at', 'payment_id', 'event_id'],
        tags=['hourly'],
    )
}}

with
payments as (
    select * from {{ ref('stg_pocm__payments') }}
    where {{ is_touched_event() }}
)

select
    tenant_id,
    payment_id,
    event_id,
    occurred_date as payment_date,
    occurred_at as attempted_at,
    order_id,
    user_key,
    session_id,
    currency,
    amount,
    gateway,
    method,
    cast(event_type = 'PAYMENT_CAPTURED', 'Bool') as is_captured,
    latency_ms,
    risk_score,
    failure_code,
    card_brand,
    attempt,
    received_at,
    if(event_type = 'PAYMENT_CAPTURED', 'captured', 'failed') as outcome,
    multiIf(
        risk_score is null, 'unknown',
        risk_score < 0.3, 'low',
        risk_score < 0.7, 'medium',
        'high'
    ) as risk_band
from payments
