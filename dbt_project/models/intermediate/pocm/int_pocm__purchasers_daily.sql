{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='day',
        order_by=['tenant_id', 'currency', 'day'],
        touched_by=['order'],
        tags=['daily'],
    )
}}

with
orders as (
    select * from {{ ref('pocm__fact_orders') }}
    where {{ is_touched('order_date') }}
)

select
    tenant_id,
    order_date as day,
    currency,
    uniqExactState(assumeNotNull(user_key)) as purchasers_state
from orders
where user_key is not null
group by
    tenant_id,
    order_date,
    currency
