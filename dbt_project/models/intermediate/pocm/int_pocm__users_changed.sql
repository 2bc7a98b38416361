{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='changed_date',
        partition='month',
        order_by=['tenant_id', 'user_key', 'changed_at', 'event_id'],
        index_granularity=256,
        tags=['hourly'],
    )
}}

with
users as (
    select * from {{ ref('stg_pocm__users') }}
    where {{ is_touched_event() }}
),

consents as (
    select * from {{ ref('stg_pocm__consents') }}
    where {{ is_touched_event() }}
)

select
    users.tenant_id,
    assumeNotNull(users.user_key) as user_key,
    users.occurred_date as changed_date,
    users.occurred_at as changed_at,
    users.event_id,
    true as is_registration,
    cast(users.region, 'Nullable(String)') as region,
    cast(users.city, 'Nullable(String)') as city,
    cast(users.channel, 'Nullable(String)') as channel,
    cast(null, 'Nullable(String)') as consent_purpose,
    cast(null, 'Nullable(Bool)') as is_consent_granted
from users
where users.user_key is not null
union all
select
    consents.tenant_id,
    assumeNotNull(consents.user_key) as user_key,
    consents.occurred_date as changed_date,
    consents.occurred_at as changed_at,
    consents.event_id,
    false as is_registration,
    cast(null, 'Nullable(String)') as region,
    cast(null, 'Nullable(String)') as city,
    cast(null, 'Nullable(String)') as channel,
    cast(consents.purpose, 'Nullable(String)') as consent_purpose,
    cast(consents.granted, 'Nullable(Bool)') as is_consent_granted
from consents
where consents.user_key is not null
