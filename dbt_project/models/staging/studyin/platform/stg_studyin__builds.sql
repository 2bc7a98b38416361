{{ staged_builds('studyin') }}
