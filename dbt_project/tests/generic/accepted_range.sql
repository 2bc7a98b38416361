{#- Values lie between min and max, both included; null is in range. -#}
{% test accepted_range(model, column_name, min=none, max=none, date_column=none) %}
select {{ column_name }}
from {{ model }}
where
    (
        false
        {%- if min is not none %} or {{ column_name }} < {{ min }}{% endif %}
        {%- if max is not none %} or {{ column_name }} > {{ max }}{% endif %}
    )
    {%- if date_column is not none %}
    and {{ dates_to_test(date_column) }}
    {%- endif %}
{% endtest %}
