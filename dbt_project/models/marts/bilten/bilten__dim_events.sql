{%- set keys = ['tenant_id', 'ticketed_event_id'] -%}
{{
    config(
        materialized='key_replace',
        key_columns=keys,
        changed_in='int_bilten__ticketed_events_changed',
        order_by=['tenant_id', 'ticketed_event_id', 'valid_from'],
        tags=['hourly'],
    )
}}

with
changes as (
    select * from {{ ref('int_bilten__ticketed_events_changed') }}
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
            'organizer_id', 'event_name', 'category', 'venue', 'city', 'country', 'starts_at', 'ends_at', 'capacity',
            'event_status', 'price', 'currency', 'published_at', 'is_deleted',
        ],
        moment='held_from',
        last_by=['version'],
        carried=['version'],
    )
}}
