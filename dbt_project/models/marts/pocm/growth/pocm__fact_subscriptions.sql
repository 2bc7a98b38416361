{{
    config(
        materialized='view',
        tags=['hourly'],
    )
}}

with
changes as (
    select
        *,
        is_active and not was_active as begins,
        is_active and was_active as continues,
        was_active and not is_active as ends
    from {{ ref('int_pocm__subscriptions_changed') }}
),

gathered as (
    select
        tenant_id,
        subscription_id,
        min(changed_at) as started_at,
        argMin(event_type, (changed_at, event_id)) as first_event_type,
        argMinIf(user_key, (changed_at, event_id), user_key is not null) as user_key,
        argMax(plan, (changed_at, event_id)) as newest_plan,
        argMax(currency, (changed_at, event_id)) as newest_currency,
        argMax(period, (changed_at, event_id)) as newest_period,
        argMax(amount, (changed_at, event_id)) as newest_amount,
        argMax(is_active, (changed_at, event_id)) as newest_is_active,
        maxIf(changed_at, ends) as ended_at,
        countIf(begins) as times_started,
        countIf(continues) as times_renewed,
        countIf(ends) as times_cancelled,
        max(changed_at) as last_changed_at
    from changes
    group by
        tenant_id,
        subscription_id
)

select
    tenant_id,
    subscription_id,
    started_at,
    user_key,
    times_started,
    times_renewed,
    times_cancelled,
    last_changed_at,
    newest_plan as plan,
    newest_currency as currency,
    newest_period as period,
    newest_amount as amount,
    newest_is_active as is_active,
    cast(first_event_type = 'SUBSCRIPTION_STARTED', 'Bool') as is_start_known,
    toDate(started_at) as started_date,
    if(newest_is_active or times_cancelled = 0, null, ended_at) as cancelled_at
from gathered
