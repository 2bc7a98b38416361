{%- set kinds = [
    ('stg_pocm__shipments', ['order_id', 'warehouse_id', 'region', 'city', 'carrier', 'eta']),
    ('stg_pocm__eta_revisions', ['eta']),
    ('stg_pocm__delivery_attempts', ['attempt', 'success']),
    ('stg_pocm__deliveries', ['delivered_at']),
    ('stg_pocm__origin_returns', ['reason']),
] -%}

{%- set no_text = "cast(null, 'Nullable(String)')" -%}
{%- set no_number = "cast(null, 'Nullable(Int64)')" -%}
{%- set no_flag = "cast(null, 'Nullable(Bool)')" -%}
{%- set no_moment = "toNullable(toDateTime64(null, 3, 'UTC'))" -%}

{%- for relation, sent in kinds %}
    select
        tenant_id,
        shipment_id,
        event_id,
        event_type,
        occurred_at,
        occurred_date,
        received_hour,
        {{ 'toNullable(order_id)' if 'order_id' in sent else no_text }} as order_id,
        {{ 'toNullable(warehouse_id)' if 'warehouse_id' in sent else no_text }} as warehouse_id,
        {{ 'toNullable(region)' if 'region' in sent else no_text }} as region,
        {{ 'toNullable(city)' if 'city' in sent else no_text }} as city,
        {{ 'toNullable(carrier)' if 'carrier' in sent else no_text }} as carrier,
        {{ 'toNullable(eta)' if 'eta' in sent else no_moment }} as eta,
        {{ 'toNullable(attempt)' if 'attempt' in sent else no_number }} as attempt,
        {{ 'toNullable(success)' if 'success' in sent else no_flag }} as success,
        {{ 'toNullable(delivered_at)' if 'delivered_at' in sent else no_moment }} as delivered_at,
        {{ 'toNullable(reason)' if 'reason' in sent else no_text }} as reason
    from {{ ref(relation) }}
    {{ 'union all' if not loop.last }}
{%- endfor %}
