{{ staged_receipts('studyin') }}
