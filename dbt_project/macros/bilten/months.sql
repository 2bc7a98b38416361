{#- The months that the window touches, and after each the month that is compared with it; every date of them. -#}
{%- macro bilten_months_touched() -%}
    select distinct arrayJoin(arrayMap(n -> month + n, range(toUInt32(addMonths(month, 2) - month)))) as occurred_date
    from (
        select distinct toStartOfMonth(occurred_date) as month
        from ({{ touched_dates('bilten', ['self', 'session', 'visit', 'order']) }})
    )
{%- endmacro -%}
