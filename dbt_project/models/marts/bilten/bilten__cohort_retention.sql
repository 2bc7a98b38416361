{{
    config(
        materialized='partition_replace',
        date_column='activity_week',
        partition='week',
        order_by=['tenant_id', 'activity_week', 'cohort_week'],
        touched_query='cohort_retention_touched',
        cohort_weeks='int_bilten__cohort_weeks_summed',
        tags=['weekly'],
    )
}}

{{ cohort_retention(ref('int_bilten__cohort_weeks_summed'), 'users') }}
