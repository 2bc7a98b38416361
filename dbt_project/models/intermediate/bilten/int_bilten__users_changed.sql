{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='changed_date',
        partition='month',
        order_by=['tenant_id', 'user_key', 'version', 'changed_at', 'event_id'],
        index_granularity=256,
        tags=['hourly'],
    )
}}

with
changes as (
    select * from {{ ref('stg_bilten__users') }}
    where {{ is_touched_event() }}
)

select
    tenant_id,
    version,
    occurred_date as changed_date,
    occurred_at as changed_at,
    event_id,
    country,
    city,
    language,
    signup_channel,
    signup_campaign_id,
    has_marketing_consent,
    user_status,
    registered_at,
    assumeNotNull(user_key) as user_key,
    toBool(coalesce(operation = 'delete', false)) as is_deleted
from changes
where user_key is not null
