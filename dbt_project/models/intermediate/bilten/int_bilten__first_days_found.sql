{%- set facts = {
    'relation': 'int_bilten__users_daily',
    'date': 'day',
    'moment': 'first_seen_at',
    'first': 'first_came_at',
} -%}
{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='cohort_week',
        partition='week',
        order_by=['tenant_id', 'user_key'],
        touched_query='cohort_members_touched',
        cohort_facts=facts,
        tags=['weekly'],
    )
}}

with
candidates as (
    {{ cohort_candidates(facts) }}
)

select
    tenant_id,
    user_key,
    min(first_at) as first_came_at,
    toMonday(min(first_at)) as cohort_week
from candidates
group by
    tenant_id,
    user_key
