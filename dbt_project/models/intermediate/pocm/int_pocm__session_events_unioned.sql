{%- set kinds = [
    ('stg_pocm__searches', ['channel']),
    ('stg_pocm__search_clicks', ['channel', 'product_id']),
    ('stg_pocm__product_views', ['channel', 'currency', 'product_id']),
    ('stg_pocm__carts', ['channel']),
    ('stg_pocm__cart_items', ['channel', 'currency', 'product_id']),
    ('stg_pocm__checkouts', ['channel', 'currency']),
    ('stg_pocm__orders', ['channel', 'currency']),
    ('stg_pocm__order_cancellations', []),
    ('stg_pocm__payments', ['currency']),
] -%}

{%- set nothing = "cast(null, 'Nullable(String)')" -%}

{%- for relation, fields in kinds %}
    select
        tenant_id,
        session_id,
        event_id,
        event_type,
        occurred_at,
        occurred_date,
        received_hour,
        user_key,
        {{ 'toNullable(channel)' if 'channel' in fields else nothing }} as channel,
        {{ 'toNullable(currency)' if 'currency' in fields else nothing }} as currency,
        {{ 'toNullable(product_id)' if 'product_id' in fields else nothing }} as product_id
    from {{ ref(relation) }}
    where session_id is not null
    {{ 'union all' if not loop.last }}
{%- endfor %}
