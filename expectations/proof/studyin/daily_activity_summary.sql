with
summed as (
    select
        tenant_id,
        day,
        count(user_key) filter (learning_events > 0) as active_users,
        coalesce(sum(learning_events) filter (user_key is null), 0) as events_without_user,
        sum(columns(* exclude (tenant_id, day, user_key)))
    from activity
    group by tenant_id, day
    having sum(learning_events) > 0
)

select * from activity_of('summed')
