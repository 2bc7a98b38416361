{{
    config(
        materialized='table',
        order_by=['tenant_id', 'user_key', 'valid_from'],
        tags=['hourly'],
    )
}}

with
changes as (
    select * from {{ ref('int_pocm__users_changed') }}
),

followed as (
    select
        tenant_id,
        user_key,
        changed_at,
        event_id,
        minIf(toNullable(changed_at), is_registration) over user_history as registered_at,
        argMaxIf(region, (changed_at, event_id), is_registration) over user_history as region,
        argMaxIf(city, (changed_at, event_id), is_registration) over user_history as city,
        argMaxIf(channel, (changed_at, event_id), is_registration) over user_history as channel,
        groupArrayIf(
            (assumeNotNull(consent_purpose), assumeNotNull(is_consent_granted)), not is_registration
        ) over user_history as consents
    from changes
    window user_history as (
        partition by tenant_id, user_key
        order by changed_at, event_id
        rows between unbounded preceding and current row
    )
),

-- Of changes at the same moment the last by event id holds.
states as (
    select
        tenant_id,
        user_key,
        changed_at,
        registered_at,
        region,
        city,
        channel,
        arraySort(
            arrayFilter(
                purpose -> tupleElement(arrayLast(consent -> tupleElement(consent, 1) = purpose, consents), 2),
                arrayDistinct(arrayMap(consent -> tupleElement(consent, 1), consents))
            )
        ) as granted_purposes
    from followed
    order by
        changed_at desc,
        event_id desc
    limit 1 by (tenant_id, user_key, changed_at)
),

compared as (
    select
        *,
        toString((registered_at, region, city, channel, granted_purposes)) as attributes,
        lagInFrame(attributes) over user_history as attributes_before
    from states
    window user_history as (
        partition by tenant_id, user_key
        order by changed_at
        rows between unbounded preceding and current row
    )
),

versions as (
    select *
    from compared
    where attributes != attributes_before
)

select
    tenant_id,
    user_key,
    changed_at as valid_from,
    registered_at,
    region,
    city,
    channel,
    granted_purposes,
    leadInFrame(toNullable(changed_at)) over user_versions as valid_to,
    toBool(valid_to is null) as is_current
from versions
window user_versions as (
    partition by tenant_id, user_key
    order by changed_at
    rows between unbounded preceding and unbounded following
)
