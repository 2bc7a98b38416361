select
    tenant_id,
    day,
    campaign_type,
    campaign,
    currency,
    count(*) filter (fact = 'recommendation') as recommendations_shown,
    count(*) filter (fact = 'recommendation' and hit) as recommendations_clicked,
    count(*) filter (fact = 'click') as recommendation_clicks,
    count(*) filter (fact = 'promotion') as promotions_shown,
    count(*) filter (fact = 'session') as promotion_sessions,
    count(*) filter (fact = 'session' and hit) as promotion_sessions_converted,
    count(*) filter (fact = 'order') as promotion_orders,
    coalesce(sum(amount) filter (fact = 'order'), 0) as promotion_revenue,
    count(*) filter (fact = 'credit') as affiliate_orders,
    coalesce(sum(amount) filter (fact = 'credit'), 0) as affiliate_revenue,
    coalesce(sum(amount) filter (fact = 'commission'), 0) as affiliate_commission,
    coalesce(sum(points) filter (fact = 'earned'), 0) as loyalty_points_earned,
    coalesce(sum(points) filter (fact = 'redeemed'), 0) as loyalty_points_redeemed,
    ratio(recommendations_clicked, recommendations_shown) as recommendation_ctr,
    ratio(promotion_sessions_converted, promotion_sessions) as promotion_conversion
from campaign_facts
group by tenant_id, day, campaign_type, campaign, currency
