select
    * exclude (period),
    cast(period as date) as day
from requests_by('day')
