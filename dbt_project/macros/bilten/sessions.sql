{#- The id of a session by silence: what other engines can compute as well. -#}
{%- macro bilten_silent_session_id(tenant_id, visitor_key, started_at) -%}
    concat(
        'silence-',
        lower(hex(MD5(concat({{ tenant_id }}, '|', {{ visitor_key }}, '|', toString(toUnixTimestamp64Milli({{ started_at }}))))))
    )
{%- endmacro -%}

{#- The times at which a session reached each step of the funnel, as columns of a select over a relation that has the
    arrays views, clicked, registered and purchased. -#}
{%- macro bilten_funnel_times() -%}
    {{ first_at('views') }} as viewed_at,
    {{ first_at_or_after('clicked', 'viewed_at') }} as clicked_at,
    {{ first_at_or_after('registered', 'clicked_at') }} as registered_at,
    {{ first_at_or_after('purchased', 'registered_at') }} as purchased_at
{%- endmacro -%}
