with

source as (
    select *
    from {{ source('raw', 'events') }}
    where source = 'pocm'
)

select
    tenant_id,
    event_type,
    event_id,
    received_at,
    received_hour,
    load_id,
    row_number,
    is_duplicate,
    toDate(received_hour) as received_date
from source
