-- One row per thing that happened on a day, by whichever clock it counts, and then the things of each day.
with
things as (
    select
        tenant_id,
        cast(occurred_at as date) as day,
        'access' as thing,
        json_extract_string(payload, '$.purpose') as name,
        json_extract_string(payload, '$.outcome') = 'denied' as flag
    from events
    where event_type = 'COMPLIANCE_AUDIT'
    union all by name
    select
        tenant_id,
        cast(occurred_at as date) as day,
        event_type as thing,
        json_extract_string(payload, '$.request_id') as name
    from events
    where event_type in ('GDPR_EXPORT_REQUESTED', 'GDPR_EXPORT_COMPLETED')
    union all by name
    select tenant_id, cast(received_at as date) as day, 'accepted' as thing
    from deliveries
    union all by name
    select
        coalesce(tenant_id, 'unknown') as tenant_id,
        cast(received_at as date) as day,
        'rejected' as thing,
        original_size as bytes
    from rejections
)

select
    tenant_id,
    day,
    count(*) filter (thing = 'access') as audit_accesses,
    count(*) filter (thing = 'access' and flag) as audit_denied,
    coalesce(histogram(name) filter (thing = 'access'), map {}) as audit_accesses_by_purpose,
    count(distinct name) filter (thing = 'GDPR_EXPORT_REQUESTED') as exports_requested,
    count(distinct name) filter (thing = 'GDPR_EXPORT_COMPLETED') as exports_completed,
    count(*) filter (thing in ('accepted', 'rejected')) as received_rows,
    count(*) filter (thing = 'rejected') as received_rejected_rows,
    ratio(received_rejected_rows, received_rows) as received_rejected_rate,
    cast(coalesce(sum(bytes) filter (thing = 'rejected'), 0) as bigint) as received_quarantine_bytes
from things
group by tenant_id, day
