{{
    config(
        materialized='partition_replace',
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'day', 'campaign_type', 'campaign', 'currency'],
        touched_by=['session', 'order', 'recommendation'],
        linked_by=['session', 'order', 'recommendation'],
        tags=['daily'],
    )
}}

with
recommendations as (
    select
        *,
        coalesce(campaign, 'none') as named_campaign
    from {{ ref('stg_pocm__recommendations') }}
    where {{ is_linked_event(['recommendation']) }}
),

promotions as (
    select * from {{ ref('stg_pocm__promotions') }}
    where {{ is_linked_event(['session']) }}
),

placements as (
    select * from {{ ref('stg_pocm__orders') }}
    where
        {{ is_linked_event(['session']) }}
        and promotion_code is not null
        and session_id is not null
),

orders as (
    select * from {{ ref('pocm__fact_orders') }}
    where {{ is_linked('order_date') }}
),

attributions as (
    select
        *,
        assumeNotNull(affiliate_id) as credited_affiliate_id,
        assumeNotNull(commission) as credited_commission,
        assumeNotNull(currency) as commission_currency
    from {{ ref('int_pocm__order_events_unioned') }}
    where
        {{ is_linked('occurred_date', ['order']) }}
        and event_type = 'AFFILIATE_ATTRIBUTED'
),

points as (
    select * from {{ ref('stg_pocm__loyalty_points') }}
    where {{ is_touched_event() }}
),

-- A product that is shown twice under one recommendation was recommended once.
showings as (
    select
        tenant_id,
        recommendation_id,
        product_id,
        min(occurred_date) as day,
        argMin(named_campaign, (occurred_at, event_id)) as campaign
    from recommendations
    where event_type = 'RECOMMENDATION_SHOWN'
    group by
        tenant_id,
        recommendation_id,
        product_id
),

-- A session that sees a promotion redeems it by an order under its code, at that time or later.
promoted_sessions as (
    select
        promotions.tenant_id as tenant_id,  -- noqa: AL09
        promotions.promotion_code as campaign,
        toDate(min(promotions.occurred_at)) as day,
        max(placements.last_at) >= min(promotions.occurred_at) as is_converted
    from promotions
    left join (
        select
            placements.tenant_id,
            placements.session_id,
            placements.promotion_code,
            max(placements.occurred_at) as last_at
        from placements
        group by
            placements.tenant_id,
            placements.session_id,
            placements.promotion_code
    ) as placements
        on
            promotions.tenant_id = placements.tenant_id
            and promotions.session_id = placements.session_id
            and promotions.promotion_code = placements.promotion_code
    where promotions.session_id is not null
    group by
        promotions.tenant_id,
        promotions.session_id,
        promotions.promotion_code
),

first_attributions as (
    select *
    from attributions
    order by
        occurred_at,
        event_id
    limit 1 by (tenant_id, order_id)
),

credited_orders as (
    select
        tenant_id,
        order_id,
        toNullable(currency) as order_currency,
        toNullable(amount) as order_amount
    from orders
),

facts as (
    select
        showings.tenant_id,
        showings.day,
        'recommendation' as campaign_type,
        showings.campaign,
        'XXX' as currency,
        'shown' as fact,
        toDecimal64(0, 4) as amount,
        toInt64(
            (showings.tenant_id, showings.recommendation_id, showings.product_id) in (
                select
                    recommendations.tenant_id,
                    recommendations.recommendation_id,
                    recommendations.product_id
                from recommendations
                where recommendations.event_type = 'RECOMMENDATION_CLICKED'
            )
        ) as things
    from showings
    union all
    select
        tenant_id,
        occurred_date as day,
        'recommendation' as campaign_type,
        named_campaign as campaign,
        'XXX' as currency,
        'click' as fact,
        toDecimal64(0, 4) as amount,
        toInt64(1) as things
    from recommendations
    where event_type = 'RECOMMENDATION_CLICKED'
    union all
    select
        tenant_id,
        occurred_date as day,
        'promotion' as campaign_type,
        promotion_code as campaign,
        'XXX' as currency,
        'promotion' as fact,
        toDecimal64(0, 4) as amount,
        toInt64(1) as things
    from promotions
    union all
    select
        tenant_id,
        day,
        'promotion' as campaign_type,
        campaign,
        'XXX' as currency,
        'promoted session' as fact,
        toDecimal64(0, 4) as amount,
        toInt64(is_converted) as things
    from promoted_sessions
    union all
    select
        tenant_id,
        order_date as day,
        'promotion' as campaign_type,
        assumeNotNull(promotion_code) as campaign,
        currency,
        'promoted order' as fact,
        amount,
        toInt64(1) as things
    from orders
    where promotion_code is not null
    union all
    select
        credited.tenant_id,
        credited.occurred_date as day,
        'affiliate' as campaign_type,
        credited.credited_affiliate_id as campaign,
        coalesce(sold.order_currency, 'XXX') as currency,
        'credited order' as fact,
        coalesce(sold.order_amount, toDecimal64(0, 4)) as amount,
        toInt64(1) as things
    from first_attributions as credited
    left join credited_orders as sold
        on credited.tenant_id = sold.tenant_id and credited.order_id = sold.order_id
    union all
    select
        tenant_id,
        occurred_date as day,
        'affiliate' as campaign_type,
        credited_affiliate_id as campaign,
        commission_currency as currency,
        'commission' as fact,
        credited_commission as amount,
        toInt64(1) as things
    from first_attributions
    union all
    select
        tenant_id,
        occurred_date as day,
        'loyalty' as campaign_type,
        coalesce(campaign, 'none') as campaign,
        'XXX' as currency,
        if(event_type = 'LOYALTY_POINTS_EARNED', 'earned', 'redeemed') as fact,
        toDecimal64(0, 4) as amount,
        points as things
    from points
),

counted as (
    select
        tenant_id,
        day,
        campaign_type,
        campaign,
        currency,
        cast(sumIf(amount, fact = 'promoted order'), 'Decimal(18, 4)') as promotion_revenue,
        cast(sumIf(amount, fact = 'credited order'), 'Decimal(18, 4)') as affiliate_revenue,
        cast(sumIf(amount, fact = 'commission'), 'Decimal(18, 4)') as affiliate_commission,
        countIf(fact = 'shown') as recommendations_shown,
        countIf(fact = 'shown' and things > 0) as recommendations_clicked,
        countIf(fact = 'click') as recommendation_clicks,
        countIf(fact = 'promotion') as promotions_shown,
        countIf(fact = 'promoted session') as promotion_sessions,
        countIf(fact = 'promoted session' and things > 0) as promotion_sessions_converted,
        countIf(fact = 'promoted order') as promotion_orders,
        countIf(fact = 'credited order') as affiliate_orders,
        toUInt64(sumIf(things, fact = 'earned')) as loyalty_points_earned,
        toUInt64(sumIf(things, fact = 'redeemed')) as loyalty_points_redeemed
    from facts
    group by
        tenant_id,
        day,
        campaign_type,
        campaign,
        currency
)

select
    tenant_id,
    day,
    campaign_type,
    campaign,
    currency,
    recommendations_shown,
    recommendations_clicked,
    recommendation_clicks,
    promotions_shown,
    promotion_sessions,
    promotion_sessions_converted,
    promotion_orders,
    promotion_revenue,
    affiliate_orders,
    affiliate_revenue,
    affiliate_commission,
    loyalty_points_earned,
    loyalty_points_redeemed,
    {{ ratio('recommendations_clicked', 'recommendations_shown') }} as recommendation_ctr,
    {{ ratio('promotion_sessions_converted', 'promotion_sessions') }} as promotion_conversion
from counted
