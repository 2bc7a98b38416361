{{ staged_builds('pocm') }}
