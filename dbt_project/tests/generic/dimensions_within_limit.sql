{#- No dimension of a metric has more than `most` distinct values on a day; each row names one that has. -#}
{% test dimensions_within_limit(model, most, date_column) %}
select
    tenant_id,
    day,
    name,
    dimension,
    distinct_values
from {{ model }}
where
    distinct_values > {{ most }}
    and {{ dates_to_test(date_column) }}
{% endtest %}
