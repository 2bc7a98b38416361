select
    * exclude (grain, period_start),
    period_start as minute
from metric_periods
where grain = 'minute'
