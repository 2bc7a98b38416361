{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='occurred_date',
        order_by=['tenant_id', 'shipment_id', 'occurred_at', 'event_id'],
        tags=['hourly'],
    )
}}

{{
    events_unioned(
        'shipment_id',
        {
            'stg_pocm__shipments': ['order_id', 'warehouse_id', 'region', 'city', 'carrier', 'eta'],
            'stg_pocm__eta_revisions': ['eta'],
            'stg_pocm__delivery_attempts': ['attempt', 'success'],
            'stg_pocm__deliveries': ['delivered_at'],
            'stg_pocm__origin_returns': ['reason'],
        },
        {
            'order_id': 'String',
            'warehouse_id': 'String',
            'region': 'String',
            'city': 'String',
            'carrier': 'String',
            'eta': "DateTime64(3, 'UTC')",
            'attempt': 'Int64',
            'success': 'Bool',
            'delivered_at': "DateTime64(3, 'UTC')",
            'reason': 'String',
        },
        condition=is_touched_event(),
    )
}}
