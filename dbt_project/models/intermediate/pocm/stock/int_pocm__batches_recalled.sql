{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='recalled_date',
        partition='month',
        order_by=['tenant_id', 'batch_id', 'recalled_at', 'event_id'],
        tags=['hourly'],
    )
}}

with
recalls as (
    select * from {{ ref('stg_pocm__batch_recalls') }}
    where {{ is_touched_event() }}
)

select
    tenant_id,
    batch_id,
    product_id,
    occurred_date as recalled_date,
    occurred_at as recalled_at,
    event_id,
    reason
from recalls
