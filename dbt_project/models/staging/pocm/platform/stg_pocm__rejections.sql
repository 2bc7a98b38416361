with

source as (
    select *
    from {{ source('ops', 'quarantine') }}
    where source = 'pocm'
)

select
    received_at,
    received_hour,
    load_id,
    row_number,
    event_type,
    codes,
    original_size,
    coalesce(tenant_id, 'unknown') as tenant_id,
    toDate(received_hour) as received_date
from source
