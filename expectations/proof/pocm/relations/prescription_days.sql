-- One row per prescription and day of it that has passed: the tenant's newest day with any event is the last that has.
-- A prescription holds as it was first assigned. `worn` says whether its device accepted a patch on the day.
create table prescription_days as
with
assigned as (
    select *
    from device_events
    where
        event_type = 'PRESCRIPTION_ASSIGNED'
        and device_id is not null
        and starts_on between date '1970-01-01' and date '2100-01-01'
    qualify row_number() over (partition by tenant_id, prescription_id order by occurred_at, event_id) = 1
),

passed as (
    select
        tenant_id,
        prescription_id,
        device_id,
        unnest(range(prescribed_days)) as elapsed,
        cast(starts_on + cast(elapsed as integer) as date) as day
    from assigned
),

today as (
    select tenant_id, max(cast(occurred_at as date)) as today
    from events
    group by tenant_id
)

select
    passed.tenant_id,
    passed.prescription_id,
    passed.device_id,
    passed.day,
    exists (
        select 1
        from device_events as patch
        where
            patch.event_type = 'PATCH_APPLIED'
            and patch.valid
            and patch.tenant_id = passed.tenant_id
            and patch.device_id = passed.device_id
            and patch.day = passed.day
    ) as worn
from passed
inner join today using (tenant_id)
where passed.day <= today.today;
