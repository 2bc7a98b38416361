{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='hour',
        partition='month',
        order_by=['tenant_id', 'hour'],
        touched_query='studyin_receipts_touched',
        tags=['hourly'],
    )
}}

with
receipts as (
    select * from {{ ref('stg_studyin__receipts') }}
    where {{ is_touched('received_date') }}
),

-- All rows of an hour wait for the same build: what differs is how long before the hour's end they came.
waits as (
    select
        receipts.tenant_id,
        receipts.received_hour as hour,
        arraySort(
            groupArray(3600000 - dateDiff('millisecond', receipts.received_hour, receipts.received_at))
        ) as waits_ms
    from receipts
    group by
        receipts.tenant_id,
        hour
)

select
    tenant_id,
    hour,
    length(waits_ms) as received_rows,
    waits_ms[toUInt64(floor(0.5 * length(waits_ms))) + 1] as wait_p50_ms,
    waits_ms[toUInt64(floor(0.95 * length(waits_ms))) + 1] as wait_p95_ms,
    waits_ms[-1] as wait_max_ms
from waits
