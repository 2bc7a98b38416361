{{
    config(
        materialized='key_replace',
        key_columns=['tenant_id', 'user_key'],
        changed_in='int_pocm__users_changed',
        order_by=['tenant_id', 'user_key', 'valid_from'],
        tags=['hourly'],
    )
}}

with
changes as (
    select * from {{ ref('int_pocm__users_changed') }}
    where {{ is_touched_key() }}
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
        ) over user_history as consents,
        arraySort(
            arrayFilter(
                purpose -> tupleElement(arrayLast(consent -> tupleElement(consent, 1) = purpose, consents), 2),
                arrayDistinct(arrayMap(consent -> tupleElement(consent, 1), consents))
            )
        ) as granted_purposes
    from changes
    window user_history as (
        partition by tenant_id, user_key
        order by changed_at, event_id
        rows between unbounded preceding and current row
    )
),

{{
    dim_history(
        'followed',
        ['tenant_id', 'user_key'],
        ['registered_at', 'region', 'city', 'channel', 'granted_purposes'],
    )
}}
