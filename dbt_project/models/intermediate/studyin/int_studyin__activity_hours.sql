{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='hour',
        order_by=['tenant_id', 'user_key', 'hour'],
        tags=['hourly'],
    )
}}

with
events as (
    select * from {{ ref('int_studyin__learning_events_unioned') }}
    where {{ is_touched_event() }}
)

select
    tenant_id,
    coalesce(user_key, '') as user_key,
    toStartOfHour(occurred_at) as hour,
    {{- studyin_activity_counts() }}
from events
group by
    tenant_id,
    user_key,
    hour
