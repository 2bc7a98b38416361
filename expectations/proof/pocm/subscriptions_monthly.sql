with
active as (
    select * from subscription_terms
    where active
),

months as (
    select cast(unnest(generate_series(
        (select date_trunc('month', min(since)) from subscription_terms),
        (select date_trunc('month', max(since)) from subscription_terms),
        interval 1 month
    )) as date) as month
),

facts as (
    select tenant_id, month, plan, currency, 'there' as fact, period, amount
    from active
    inner join months on since < month and coalesce(until >= month, true)
    union all by name
    select tenant_id, month, plan, currency, 'left over' as fact, period, amount
    from active
    inner join months on since < month + interval 1 month and coalesce(until >= month + interval 1 month, true)
    union all by name
    select
        tenant_id, cast(date_trunc('month', since) as date) as month, plan, currency,
        case when active_before then 'switched in' else 'started' end as fact
    from active
    where not active_before or line_before != row(plan, currency)
    union all by name
    select
        tenant_id, cast(date_trunc('month', until) as date) as month, plan, currency,
        case when active_after then 'switched out' else 'cancelled' end as fact
    from active
    where not active_after or line_after != row(plan, currency)
)

select
    tenant_id,
    month,
    plan,
    currency,
    count(*) filter (fact = 'there') as active_at_start,
    count(*) filter (fact = 'started') as started,
    count(*) filter (fact = 'switched in') as switched_in,
    count(*) filter (fact = 'cancelled') as cancelled,
    count(*) filter (fact = 'switched out') as switched_out,
    count(*) filter (fact = 'left over') as active_at_end,
    coalesce(sum(amount) filter (fact = 'left over' and period = 'month'), 0) as monthly_amount,
    coalesce(sum(amount) filter (fact = 'left over' and period = 'year'), 0) as yearly_amount,
    ratio(cancelled, active_at_start) as churn_rate,
    monthly_amount + money_per(yearly_amount, 12) as mrr
from facts
group by tenant_id, month, plan, currency
