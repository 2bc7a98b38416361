{#- The columns identify a row. Looks at the dates that the run's window touches, so that its cost follows the batch. -#}
{% test unique_grain(model, columns, date_column=none) %}
select {{ columns | join(', ') }}
from {{ model }}
{%- if date_column is not none %}
where {{ dates_to_test(date_column) }}
{%- endif %}
group by {{ columns | join(', ') }}
having count() > 1
{% endtest %}
