{{
    config(
        materialized='view',
        tags=['hourly'],
    )
}}

with
days as (
    select * from {{ ref('int_pocm__batches_daily') }}
)

select
    tenant_id,
    batch_id,
    argMinIf(product_id, day, product_id is not null) as product_id,
    min(first_known_at) as known_from,
    min(first_received_at) as first_received_at,
    argMinIf(expires_on, day, expires_on is not null) as expires_on,
    min(recalled_at) as recalled_at,
    argMinIf(recall_reason, day, recall_reason is not null) as recall_reason,
    toBool(recalled_at is not null) as is_recalled
from days
group by
    tenant_id,
    batch_id
