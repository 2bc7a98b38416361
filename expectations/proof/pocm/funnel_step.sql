with
counted as (
    select
        tenant_id,
        day,
        scope,
        step_number,
        count(reached_at) as sessions,
        count(next_at) as onward,
        list_sort(
            list(epoch_ms(next_at) - epoch_ms(reached_at)) filter (next_at is not null)
        ) as waits_ms
    from session_steps
    group by all
)

select
    tenant_id,
    day,
    scope,
    step_number,
    ['search', 'product_view', 'add_to_cart', 'checkout', 'payment'][step_number] as step,
    sessions,
    case when step_number < 5 then onward end as sessions_next,
    case when step_number < 5 and sessions > 0 then 1 - onward / sessions end as drop_off_rate,
    -- the element that quantileExact(0.5) takes: number floor(0.5 n), counted from 0
    cast(waits_ms[1 + cast(floor(0.5 * len(waits_ms)) as bigint)] as double) / 1000 as median_seconds_to_next
from counted
