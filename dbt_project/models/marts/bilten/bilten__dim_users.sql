{%- set keys = ['tenant_id', 'user_key'] -%}
{{
    config(
        materialized='exchanged_table',
        order_by=['tenant_id', 'user_key', 'valid_from'],
        tags=['hourly'],
    )
}}

with
changes as (
    {{ in_order_of_versions(ref('int_bilten__users_changed'), keys) }}
),

{{
    dim_history(
        'changes',
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
