{#- The first capture of each payment, by time and then event id: the one that refunds and chargebacks refer to. The argument
    is a relation like fact_payments. -#}
{%- macro pocm_first_captures(payments) -%}
    select
        tenant_id,
        payment_id,
        toNullable(argMin(gateway, (attempted_at, event_id))) as captured_gateway,
        toNullable(argMin(method, (attempted_at, event_id))) as captured_method,
        toNullable(argMin(amount, (attempted_at, event_id))) as captured_amount
    from {{ payments }}
    where is_captured
    group by
        tenant_id,
        payment_id
{%- endmacro -%}
