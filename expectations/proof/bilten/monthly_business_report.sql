with
months as (
    select * exclude (period), cast(period as date) as month from kpi('month')
)

select
    months.tenant_id,
    months.month,
    months.currency,
    months.users as mau,
    months.* exclude (tenant_id, month, currency, users),
    ratio(months.session_ms / 1000, months.sessions) as average_session_seconds,
    coalesce(before.revenue, 0) as revenue_before,
    case
        when before.revenue > 0
            then cast(months.revenue - before.revenue as double) / cast(before.revenue as double)
    end as revenue_growth
from months
left join months as before
    on
        months.tenant_id = before.tenant_id
        and months.currency = before.currency
        and months.month = before.month + interval 1 month
