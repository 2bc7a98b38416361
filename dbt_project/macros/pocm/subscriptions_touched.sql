{#- The dates of int_pocm__subscriptions_changed that the window changes: its own, and of every subscription with an event
    on one of them, now or before, the date of the next event, which has another one before it now. -#}
{%- macro pocm_subscriptions_touched() %}
        with
        dates as (
            {{ touched_dates('pocm') }}
        ),

        changes as (
            select distinct
                tenant_id,
                subscription_id,
                occurred_date
            from {{ ref('stg_pocm__subscriptions') }}
            where
                occurred_date in (select occurred_date from dates)
                and received_hour in (
                    {{ received_hours_of('select occurred_date from dates') }}
                )
            union distinct
            select
                tenant_id,
                subscription_id,
                changed_date as occurred_date
            from {{ this }}
            where changed_date in (select occurred_date from dates)
        ),

        later as (
            select
                changes.tenant_id,
                changes.subscription_id,
                changes.occurred_date,
                min(stored.changed_date) as next_date
            from changes
            inner join (
                select
                    tenant_id,
                    subscription_id,
                    changed_date
                from {{ this }}
                where
                    (tenant_id, subscription_id) in (select changes.tenant_id, changes.subscription_id from changes)
                    and changed_date not in (select occurred_date from dates)
            ) as stored
                on changes.tenant_id = stored.tenant_id and changes.subscription_id = stored.subscription_id
            where stored.changed_date > changes.occurred_date
            group by
                changes.tenant_id,
                changes.subscription_id,
                changes.occurred_date
        )

        select occurred_date from dates
        union distinct
        select next_date as occurred_date from later
{%- endmacro -%}

{#- The months of subscriptions_monthly that the window changes, by their first days: from the first month with a touched
    date, and from the one after the newest that is stored, to the newest; what a month ends with, the next begins with. -#}
{%- macro pocm_subscriptions_monthly_touched() %}
        with
        dates as (
            {{ touched_dates('pocm') }}
        ),

        stored as (
            select max(month) as newest from {{ this }}
        ),

        months as (
            select
                if(
                    newest = toDate(0),
                    toStartOfMonth(min(occurred_date)),
                    least(toStartOfMonth(min(occurred_date)), toDate(addMonths(newest, 1)))
                ) as first_month,
                greatest(toStartOfMonth(max(occurred_date)), newest) as last_month
            from dates
            cross join stored
            group by newest
        )

        select
            arrayJoin(
                arrayMap(n -> toDate(addMonths(first_month, n)), range(toUInt32(dateDiff('month', first_month, last_month) + 1)))
            ) as occurred_date
        from months
{%- endmacro -%}
