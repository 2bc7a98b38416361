{#- The times at which a session reached each step of the funnel, as columns of a select over a relation that has the
    arrays searches, views, additions, checkouts and captures.

    The search is no condition of the view; every later step needs the one before it, at or before its own time. -#}
{%- macro pocm_funnel_times() -%}
    {{ first_at('searches') }} as searched_at,
    {{ first_at('views') }} as viewed_at,
    {{ first_at_or_after('views', 'searched_at') }} as viewed_after_search_at,
    {{ first_at_or_after('additions', 'viewed_at') }} as added_to_cart_at,
    {{ first_at_or_after('checkouts', 'added_to_cart_at') }} as checked_out_at,
    {{ first_at_or_after('captures', 'checked_out_at') }} as paid_at
{%- endmacro -%}
