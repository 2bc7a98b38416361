{#- The first capture of each payment, by time and then event id: the one that refunds and chargebacks refer to. -#}
{%- macro pocm_first_captures(payments) -%}
    select
        tenant_id,
        payment_id,
        toNullable(argMin(gateway, (occurred_at, event_id))) as captured_gateway,
        toNullable(argMin(method, (occurred_at, event_id))) as captured_method,
        toNullable(argMin(amount, (occurred_at, event_id))) as captured_amount
    from {{ payments }}
    where event_type = 'PAYMENT_CAPTURED'
    group by
        tenant_id,
        payment_id
{%- endmacro -%}
