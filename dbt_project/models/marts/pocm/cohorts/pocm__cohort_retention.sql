{{
    config(
        materialized='partition_replace',
        date_column='activity_week',
        partition='week',
        order_by=['tenant_id', 'activity_week', 'cohort_week'],
        touched_query='cohort_retention_touched',
        touched_by=['order'],
        cohort_weeks='int_pocm__cohort_weeks_summed',
        tags=['weekly'],
    )
}}

{{ cohort_retention(ref('int_pocm__cohort_weeks_summed'), 'buyers') }}
