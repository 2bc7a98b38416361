select
    * exclude (period),
    period as hour
from requests_by('hour')
