{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='changed_date',
        partition='month',
        order_by=['tenant_id', 'subscription_id', 'changed_at', 'event_id'],
        index_granularity=256,
        touched_query='pocm_subscriptions_touched',
        tags=['hourly'],
    )
}}

with
events as (
    select
        tenant_id,
        subscription_id,
        event_id,
        event_type,
        occurred_date as changed_date,
        occurred_at as changed_at,
        user_key,
        plan,
        currency,
        period,
        amount,
        received_at
    from {{ ref('stg_pocm__subscriptions') }}
    where {{ is_touched_event() }}
),

histories as (
    select * from events
    {%- if rebuilds_touched_dates() %}
    union all
    -- What stands before and after the touched dates is taken as it was stored.
    select
        tenant_id,
        subscription_id,
        event_id,
        event_type,
        changed_date,
        changed_at,
        user_key,
        plan,
        currency,
        period,
        amount,
        received_at
    from {{ this }}
    where
        (tenant_id, subscription_id) in (
            select
                events.tenant_id,
                events.subscription_id
            from events
        )
        and not ({{ is_touched('changed_date') }})
    {%- endif %}
),

compared as (
    select
        *,
        lagInFrame(toNullable(event_type)) over history as event_type_before,
        lagInFrame(toNullable(plan)) over history as last_plan,
        lagInFrame(toNullable(currency)) over history as last_currency,
        lagInFrame(toNullable(period)) over history as last_period,
        lagInFrame(toNullable(amount)) over history as last_amount
    from histories
    window history as (
        partition by tenant_id, subscription_id
        order by changed_at, event_id
        rows between unbounded preceding and current row
    )
)

select
    tenant_id,
    subscription_id,
    event_id,
    event_type,
    changed_date,
    changed_at,
    user_key,
    plan,
    currency,
    period,
    amount,
    received_at,
    cast(event_type != 'SUBSCRIPTION_CANCELLED', 'Bool') as is_active,
    cast(coalesce(event_type_before != 'SUBSCRIPTION_CANCELLED', false), 'Bool') as was_active,
    if(was_active, last_plan, null) as plan_before,
    if(was_active, last_currency, null) as currency_before,
    if(was_active, last_period, null) as period_before,
    if(was_active, last_amount, null) as amount_before
from compared
