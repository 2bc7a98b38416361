{#- No group of the columns has more rows than `most`. -#}
{% test at_most_per(model, columns, most) %}
select {{ columns | join(', ') }}
from {{ model }}
group by {{ columns | join(', ') }}
having count() > {{ most }}
{% endtest %}
