{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='cohort_week',
        partition='week',
        order_by=['tenant_id', 'user_key'],
        touched_query='pocm_first_orders_touched',
        tags=['weekly'],
    )
}}

with
candidates as (
    {{ pocm_first_order_candidates() }}
)

select
    tenant_id,
    user_key,
    min(ordered_at) as first_ordered_at,
    toMonday(min(ordered_at)) as cohort_week
from candidates
group by
    tenant_id,
    user_key
