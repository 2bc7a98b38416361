{%- set keys = ['tenant_id', 'user_key'] -%}
{{
    config(
        materialized='key_replace',
        key_columns=keys,
        changed_in='int_bilten__users_changed',
        order_by=['tenant_id', 'user_key', 'valid_from'],
        tags=['hourly'],
    )
}}

with
changes as (
    select * from {{ ref('int_bilten__users_changed') }}
    where {{ is_touched_key() }}
),

versions_held as (
    {{ in_order_of_versions('changes', keys) }}
),

{{
    dim_history(
        'versions_held',
        keys,
        [
            'country', 'city', 'language', 'signup_channel', 'signup_campaign_id', 'has_marketing_consent', 'user_status',
            'registered_at', 'is_deleted',
        ],
        moment='held_from',
        last_by=['version'],
        carried=['version'],
    )
}}
