with
newest as (
    select
        tenant_id,
        max(day) as as_of_day
    from activity
    where user_key is not null and learning_events > 0
    group by tenant_id
),

summed as (
    select
        activity.tenant_id,
        activity.user_key,
        newest.as_of_day,
        count(*) filter (activity.learning_events > 0) as active_days,
        max(activity.day) filter (activity.learning_events > 0) as last_active_on,
        sum(columns(activity.* exclude (tenant_id, day, user_key, streak_updates)))
    from activity
    inner join newest
        on
            activity.tenant_id = newest.tenant_id
            and activity.day between newest.as_of_day - 29 and newest.as_of_day
    where activity.user_key is not null
    group by activity.tenant_id, activity.user_key, newest.as_of_day
)

select * from activity_of('summed')
