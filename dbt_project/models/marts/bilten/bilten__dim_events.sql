{%- set keys = ['tenant_id', 'ticketed_event_id'] -%}
{{
    config(
        materialized='exchanged_table',
        order_by=['tenant_id', 'ticketed_event_id', 'valid_from'],
        tags=['hourly'],
    )
}}

with
changes as (
    {{ in_order_of_versions(ref('int_bilten__ticketed_events_changed'), keys) }}
),

{{
    dim_history(
        'changes',
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
