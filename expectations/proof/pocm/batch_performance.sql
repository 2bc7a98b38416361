with
counted as (
    select
        tenant_id,
        batch_id,
        first(product_id order by occurred_at, event_id) filter (product_id is not null) as product_id,
        coalesce(sum(quantity) filter (fact = 'received'), 0) as received,
        coalesce(sum(quantity) filter (fact = 'sold'), 0) as sold,
        coalesce(sum(quantity) filter (fact = 'returned'), 0) as returned,
        count(*) filter (fact = 'harm') as adverse_events,
        count(*) filter (fact = 'harm' and severity = 'mild') as adverse_events_mild,
        count(*) filter (fact = 'harm' and severity = 'moderate') as adverse_events_moderate,
        count(*) filter (fact = 'harm' and severity = 'severe') as adverse_events_severe,
        count(*) filter (fact = 'harm' and severity = 'fatal') as adverse_events_fatal,
        count(*) filter (fact = 'harm' and severity is null) as adverse_events_unknown,
        min(occurred_at) filter (fact = 'recalled') as recalled_at,
        max(cast(occurred_at as date)) as last_day
    from batch_facts
    group by all
)

select
    *,
    recalled_at is not null as recalled,
    ratio(returned, sold) as return_rate,
    ratio(adverse_events, sold) as adverse_events_per_unit_sold
from counted
