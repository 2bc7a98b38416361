select
    * exclude (grain, period_start),
    cast(period_start as date) as day
from metric_periods
where grain = 'day'
