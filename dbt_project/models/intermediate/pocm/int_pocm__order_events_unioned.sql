{{
    config(
        materialized='partition_replace',
        contract={'enforced': true},
        date_column='occurred_date',
        order_by=['tenant_id', 'order_id', 'occurred_at', 'event_id'],
        tags=['hourly'],
    )
}}

{{
    events_unioned(
        'order_id',
        {
            'stg_pocm__orders': [],
            'stg_pocm__order_cancellations': ['reason'],
            'stg_pocm__refunds': ['payment_id', 'amount'],
            'stg_pocm__returns': ['quantity'],
            'stg_pocm__affiliate_attributions': ['affiliate_id', 'commission', 'currency'],
        },
        {
            'reason': 'String',
            'payment_id': 'String',
            'amount': 'Decimal(18, 4)',
            'quantity': 'Int64',
            'affiliate_id': 'String',
            'commission': 'Decimal(18, 4)',
            'currency': 'String',
        },
        condition=is_touched_event(),
    )
}}
