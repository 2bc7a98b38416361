{{
    config(
        materialized='partition_replace',
        date_column='month',
        partition='month',
        order_by=['tenant_id', 'month', 'plan', 'currency'],
        touched_query='pocm_subscriptions_monthly_touched',
        tags=['monthly'],
    )
}}

with
changes as (
    select
        *,
        toStartOfMonth(changed_date) as month,
        toBool(
            is_active
            and was_active
            and (plan != coalesce(plan_before, '') or currency != coalesce(currency_before, ''))
        ) as is_switch
    from {{ ref('int_pocm__subscriptions_changed') }}
    {%- if rebuilds_touched_dates() %}
    where changed_date >= (select min(occurred_date) from {{ working_relation('touched') }})
    {%- endif %}
),

-- Every event ends what the subscription was, if it was active, and begins what it is from then on.
sides as (
    select
        tenant_id,
        month,
        plan,
        currency,
        period,
        amount,
        1 as sign,
        toBool(not was_active) as is_flow,
        is_switch
    from changes
    where is_active
    union all
    select
        tenant_id,
        month,
        assumeNotNull(plan_before) as plan,
        assumeNotNull(currency_before) as currency,
        assumeNotNull(period_before) as period,
        assumeNotNull(amount_before) as amount,
        -1 as sign,
        toBool(not is_active) as is_flow,
        is_switch
    from changes
    where was_active
),

flows as (
    select
        tenant_id,
        month,
        plan,
        currency,
        countIf(sign = 1 and is_flow) as started,
        countIf(sign = 1 and is_switch) as switched_in,
        countIf(sign = -1 and is_flow) as cancelled,
        countIf(sign = -1 and is_switch) as switched_out,
        sum(sign) as active_change,
        sumIf(amount * sign, period = 'month') as monthly_change,
        sumIf(amount * sign, period = 'year') as yearly_change
    from sides
    group by
        tenant_id,
        month,
        plan,
        currency
),

-- What the month before the first touched one ended with; who has no row there had nobody.
openings as (
    select
        tenant_id,
        plan,
        currency,
        toInt64(0) as active,
        toDecimal128(0, 4) as monthly,
        toDecimal128(0, 4) as yearly
    from flows
    where false
    {%- if rebuilds_touched_dates() %}
    union all
    select
        tenant_id,
        plan,
        currency,
        toInt64(active_at_end) as active,
        toDecimal128(monthly_amount, 4) as monthly,
        toDecimal128(yearly_amount, 4) as yearly
    from {{ this }}
    where month = (select toDate(addMonths(min(occurred_date), -1)) from {{ working_relation('touched') }})
    {%- endif %}
),

subscription_lines as (
    select
        tenant_id,
        plan,
        currency,
        min(first_month) as first_month
    from (
        select
            tenant_id,
            plan,
            currency,
            month as first_month
        from flows
        {%- if rebuilds_touched_dates() %}
        union all
        select
            tenant_id,
            plan,
            currency,
            assumeNotNull((select min(occurred_date) from {{ working_relation('touched') }})) as first_month
        from openings
        {%- endif %}
    )
    group by
        tenant_id,
        plan,
        currency
),

-- Every month up to the newest in which any subscription of the source changed.
calendar as (
    select
        tenant_id,
        plan,
        currency,
        arrayJoin(
            arrayMap(
                n -> toDate(addMonths(first_month, n)),
                range(toUInt32(greatest(dateDiff('month', first_month, (select max(flows.month) from flows)) + 1, 0)))
            )
        ) as month
    from subscription_lines
),

continued as (
    select
        calendar.tenant_id as tenant_id,  -- noqa: AL09
        calendar.month as month,  -- noqa: AL09
        calendar.plan as plan,  -- noqa: AL09
        calendar.currency as currency,  -- noqa: AL09
        flows.started,
        flows.switched_in,
        flows.cancelled,
        flows.switched_out,
        flows.active_change,
        openings.active + sum(flows.active_change) over line_so_far as active,
        openings.monthly + sum(flows.monthly_change) over line_so_far as monthly,
        openings.yearly + sum(flows.yearly_change) over line_so_far as yearly
    from calendar
    left join flows
        on
            calendar.tenant_id = flows.tenant_id
            and calendar.month = flows.month
            and calendar.plan = flows.plan
            and calendar.currency = flows.currency
    left join openings
        on
            calendar.tenant_id = openings.tenant_id
            and calendar.plan = openings.plan
            and calendar.currency = openings.currency
    window line_so_far as (
        partition by calendar.tenant_id, calendar.plan, calendar.currency
        order by calendar.month
        rows between unbounded preceding and current row
    )
),

counted as (
    select
        tenant_id,
        month,
        plan,
        currency,
        started,
        switched_in,
        cancelled,
        switched_out,
        cast(monthly, 'Decimal(18, 4)') as monthly_amount,
        cast(yearly, 'Decimal(18, 4)') as yearly_amount,
        toUInt64(active - active_change) as active_at_start,
        toUInt64(active) as active_at_end
    from continued
)

select
    tenant_id,
    month,
    plan,
    currency,
    active_at_start,
    started,
    switched_in,
    cancelled,
    switched_out,
    active_at_end,
    monthly_amount,
    yearly_amount,
    {{ ratio('cancelled', 'active_at_start') }} as churn_rate,
    cast(monthly_amount + divideDecimal(yearly_amount, toDecimal128(12, 0), 4), 'Decimal(18, 4)') as mrr
from counted
where active_at_start + started + switched_in > 0
