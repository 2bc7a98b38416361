select * rename (period as hour)
from kpi('hour')
