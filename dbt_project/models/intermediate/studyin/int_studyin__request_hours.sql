{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='hour',
        order_by=['tenant_id', 'path', 'hour'],
        tags=['hourly'],
    )
}}

with
requests as (
    select * from {{ ref('stg_studyin__api_requests') }}
    where {{ is_touched_event() }}
)

select
    tenant_id,
    path,
    toStartOfHour(occurred_at) as hour,
    count() as requests,
    countIf(status between 400 and 499) as client_errors,
    countIf(status >= 500) as server_errors,
    -- sqlfluff parses no aggregate function that takes parameters.
    quantilesExactState(0.5, 0.95, 0.99)(latency_ms) as latencies_state  -- noqa: PRS, AL03
from requests
group by
    tenant_id,
    path,
    hour
