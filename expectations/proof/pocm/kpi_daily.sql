select * exclude (period), cast(period as date) as day
from kpi('day')
