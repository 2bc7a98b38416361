{{
    config(
        materialized='partition_replace',
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'day'],
        touched_query='pocm_compliance_touched',
        tags=['daily'],
    )
}}

{%- set received_columns = [
    'received_rows',
    'received_rejected_rows',
    'received_rejected_rate',
    'received_quarantine_bytes',
    'received_to_mart_p50_seconds',
    'received_to_mart_p95_seconds',
    'received_to_mart_max_seconds',
] -%}

with
audits as (
    select * from {{ ref('stg_pocm__compliance_audits') }}
    where {{ is_touched_event() }}
),

exports as (
    select * from {{ ref('stg_pocm__gdpr_exports') }}
    where {{ is_touched_event() }}
),

receipts as (
    select * from {{ ref('stg_pocm__receipts') }}
    where {{ is_touched('received_date') }}
),

rejections as (
    select * from {{ ref('stg_pocm__rejections') }}
    where {{ is_touched('received_date') }}
),

builds as (
    select * from {{ ref('stg_pocm__builds') }}
    where
        cadence = 'hourly'
        and {{ is_touched('received_date') }}
),

audited as (
    select
        tenant_id,
        occurred_date as day,
        count() as audit_accesses,
        countIf(outcome = 'denied') as audit_denied,
        sumMap(map(purpose, toUInt64(1))) as audit_accesses_by_purpose
    from audits
    group by
        tenant_id,
        occurred_date
),

exported as (
    select
        tenant_id,
        occurred_date as day,
        uniqExactIf(request_id, event_type = 'GDPR_EXPORT_REQUESTED') as exports_requested,
        uniqExactIf(request_id, event_type = 'GDPR_EXPORT_COMPLETED') as exports_completed
    from exports
    group by
        tenant_id,
        occurred_date
),

accepted as (
    select
        tenant_id,
        received_date as day,
        count() as accepted_rows
    from receipts
    group by
        tenant_id,
        received_date
),

rejected as (
    select
        tenant_id,
        received_date as day,
        count() as rejected_rows,
        sum(original_size) as rejected_bytes
    from rejections
    group by
        tenant_id,
        received_date
),

delayed as (
    select
        tenant_id,
        day,
        arraySort(groupArray(milliseconds)) as delays
    from (
        select
            receipts.tenant_id,
            receipts.received_date as day,
            dateDiff('millisecond', receipts.received_at, builds.built_at) as milliseconds
        from receipts
        inner join builds on receipts.received_hour = builds.received_hour
    )
    group by
        tenant_id,
        day
),

{% if rebuilds_touched_dates() -%}
-- Retention took what was received on these days: what it came to stays as it was counted then.
settled as (
    select
        tenant_id,
        day,
        true as is_settled,
        {{ received_columns | join(', ') }}
    from {{ this }}
    where
        {{ is_touched('day') }}
        and day in ({{ days_taken_out(['raw.events', 'ops.quarantine']) }})
),

{% endif -%}
grains as (
    select
        tenant_id,
        day
    from audited
    union distinct
    select
        tenant_id,
        day
    from exported
    union distinct
    select
        tenant_id,
        day
    from accepted
    union distinct
    select
        tenant_id,
        day
    from rejected
    {%- if rebuilds_touched_dates() %}
    union distinct
    select
        tenant_id,
        day
    from settled
    {%- endif %}
),

counted as (
    select
        -- A column that several joined relations share is named with its relation by ClickHouse, unless it has an
        -- alias.
        grains.day as day,  -- noqa: AL09
        audited.audit_accesses,
        audited.audit_denied,
        audited.audit_accesses_by_purpose,
        exported.exports_requested,
        exported.exports_completed,
        rejected.rejected_rows as received_rejected_rows,
        rejected.rejected_bytes as received_quarantine_bytes,
        toLowCardinality(grains.tenant_id) as tenant_id,
        accepted.accepted_rows + rejected.rejected_rows as received_rows,
        if(received_rows = 0, null, rejected.rejected_rows / received_rows) as received_rejected_rate,
        {%- for name, share in (('p50', 0.5), ('p95', 0.95)) %}
            if(
                empty(delayed.delays),
                null,
                delayed.delays[toUInt64(floor({{ share }} * length(delayed.delays))) + 1] / 1000
            ) as received_to_mart_{{ name }}_seconds,
        {%- endfor %}
        if(empty(delayed.delays), null, arrayMax(delayed.delays) / 1000) as received_to_mart_max_seconds
    from grains
    left join audited on grains.tenant_id = audited.tenant_id and grains.day = audited.day
    left join exported on grains.tenant_id = exported.tenant_id and grains.day = exported.day
    left join accepted on grains.tenant_id = accepted.tenant_id and grains.day = accepted.day
    left join rejected on grains.tenant_id = rejected.tenant_id and grains.day = rejected.day
    left join delayed on grains.tenant_id = delayed.tenant_id and grains.day = delayed.day
)

select
    {%- for column in received_columns %}
        {{ pocm_settled_or_counted(column) }},
    {%- endfor %}
    counted.tenant_id,
    counted.day,
    counted.audit_accesses,
    counted.audit_denied,
    counted.audit_accesses_by_purpose,
    counted.exports_requested,
    counted.exports_completed
from counted
{%- if rebuilds_touched_dates() %}
left join settled on counted.tenant_id = settled.tenant_id and counted.day = settled.day
{%- endif %}
