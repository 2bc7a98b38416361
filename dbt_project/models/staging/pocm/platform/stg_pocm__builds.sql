with

source as (
    select *
    from {{ source('ops', 'builds') }}
    where source = 'pocm'
)

select
    cadence,
    received_hour,
    min(built_at) as built_at,
    toDate(received_hour) as received_date
from source
group by
    cadence,
    received_hour
