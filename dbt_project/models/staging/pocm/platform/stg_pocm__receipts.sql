{{ staged_receipts('pocm') }}
