{{
    events_unioned(
        'session_id',
        {
            'stg_pocm__searches': ['channel'],
            'stg_pocm__search_clicks': ['channel', 'product_id'],
            'stg_pocm__product_views': ['channel', 'currency', 'product_id'],
            'stg_pocm__carts': ['channel'],
            'stg_pocm__cart_items': ['channel', 'currency', 'product_id'],
            'stg_pocm__checkouts': ['channel', 'currency'],
            'stg_pocm__orders': ['channel', 'currency'],
            'stg_pocm__order_cancellations': [],
            'stg_pocm__payments': ['currency'],
        },
        {'channel': 'String', 'currency': 'String', 'product_id': 'String'},
        also=['received_hour', 'user_key'],
        condition='session_id is not null',
    )
}}
