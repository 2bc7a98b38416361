-- What campaigns did, one row per thing that marketing_daily counts; `hit` says whether it led to what it is for.
create table campaign_facts as
with
told as (
    select
        event_type,
        tenant_id,
        session_id,
        occurred_at,
        event_id,
        cast(occurred_at as date) as day,
        json_extract_string(payload, '$.recommendation_id') as recommendation_id,
        json_extract_string(payload, '$.product_id') as product_id,
        json_extract_string(payload, '$.promotion_code') as promotion_code,
        json_extract_string(payload, '$.affiliate_id') as affiliate_id,
        json_extract_string(payload, '$.order_id') as order_id,
        json_extract_string(payload, '$.currency') as currency,
        coalesce(json_extract_string(payload, '$.campaign'), 'none') as campaign,
        cast(json_extract_string(payload, '$.commission') as decimal(18, 4)) as commission,
        cast(json_extract_string(payload, '$.points') as bigint) as points
    from events
    where
        event_type in (
            'RECOMMENDATION_SHOWN', 'RECOMMENDATION_CLICKED', 'PROMOTION_SHOWN', 'AFFILIATE_ATTRIBUTED',
            'LOYALTY_POINTS_EARNED', 'LOYALTY_POINTS_REDEEMED', 'ORDER_PLACED'
        )
),

recommended as (
    select
        tenant_id,
        recommendation_id,
        product_id,
        first(day order by occurred_at, event_id) filter (event_type = 'RECOMMENDATION_SHOWN') as day,
        first(campaign order by occurred_at, event_id) filter (event_type = 'RECOMMENDATION_SHOWN') as campaign,
        bool_or(event_type = 'RECOMMENDATION_CLICKED') as hit
    from told
    where event_type in ('RECOMMENDATION_SHOWN', 'RECOMMENDATION_CLICKED')
    group by all
    having day is not null
),

promoted as (
    select
        tenant_id,
        session_id,
        promotion_code,
        min(occurred_at) filter (event_type = 'PROMOTION_SHOWN') as seen_at,
        cast(seen_at as date) as day,
        coalesce(max(occurred_at) filter (event_type = 'ORDER_PLACED') >= seen_at, false) as hit
    from told
    where event_type in ('PROMOTION_SHOWN', 'ORDER_PLACED') and session_id is not null and promotion_code is not null
    group by tenant_id, session_id, promotion_code
    having seen_at is not null
),

-- The code of an order is the one that its first event names.
redeemed as (
    select
        tenant_id,
        order_id,
        cast(orders.placed_at as date) as day,
        orders.currency,
        orders.amount,
        first(told.promotion_code order by told.occurred_at, told.event_id) as promotion_code
    from orders
    inner join told using (tenant_id, order_id)
    where told.event_type = 'ORDER_PLACED'
    group by all
),

credited as (
    select distinct on (tenant_id, order_id) *
    from told
    where event_type = 'AFFILIATE_ATTRIBUTED'
    order by tenant_id, order_id, occurred_at, event_id
)

select
    tenant_id, day, 'recommendation' as campaign_type, campaign, 'XXX' as currency, 'recommendation' as fact, hit,
    cast(null as decimal(18, 4)) as amount, cast(null as bigint) as points
from recommended
union all by name
select tenant_id, day, 'recommendation' as campaign_type, campaign, 'XXX' as currency, 'click' as fact
from told
where event_type = 'RECOMMENDATION_CLICKED'
union all by name
select tenant_id, day, 'promotion' as campaign_type, promotion_code as campaign, 'XXX' as currency, 'promotion' as fact
from told
where event_type = 'PROMOTION_SHOWN'
union all by name
select tenant_id, day, 'promotion' as campaign_type, promotion_code as campaign, 'XXX' as currency, 'session' as fact, hit
from promoted
union all by name
select tenant_id, day, 'promotion' as campaign_type, promotion_code as campaign, currency, 'order' as fact, amount
from redeemed
where promotion_code is not null
union all by name
select
    credited.tenant_id, credited.day, 'affiliate' as campaign_type, credited.affiliate_id as campaign,
    coalesce(orders.currency, 'XXX') as currency, 'credit' as fact, orders.amount
from credited
left join orders using (tenant_id, order_id)
union all by name
select tenant_id, day, 'affiliate' as campaign_type, affiliate_id as campaign, currency, 'commission' as fact, commission as amount
from credited
union all by name
select
    tenant_id, day, 'loyalty' as campaign_type, campaign, 'XXX' as currency,
    case event_type when 'LOYALTY_POINTS_EARNED' then 'earned' else 'redeemed' end as fact, points
from told
where event_type in ('LOYALTY_POINTS_EARNED', 'LOYALTY_POINTS_REDEEMED');
