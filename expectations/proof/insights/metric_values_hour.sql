select
    * exclude (grain, period_start),
    period_start as hour
from metric_periods
where grain = 'hour'
