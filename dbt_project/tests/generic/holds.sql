{#- A condition over the columns of one row that holds for every row. -#}
{% test holds(model, condition, date_column=none) %}
select *
from {{ model }}
where
    not ({{ condition }})
    {%- if date_column is not none %}
    and {{ dates_to_test(date_column) }}
    {%- endif %}
{% endtest %}
