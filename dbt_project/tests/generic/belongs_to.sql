{#- Every row finds its parent by the same columns; both sides are read for the tested dates only. -#}
{% test belongs_to(model, to, columns, date_column) %}
select {{ columns | join(', ') }}
from {{ model }}
where
    {{ dates_to_test(date_column) }}
    and ({{ columns | join(', ') }}) not in (
        select {{ columns | join(', ') }}
        from {{ to }}
        where {{ dates_to_test(date_column) }}
    )
{% endtest %}
