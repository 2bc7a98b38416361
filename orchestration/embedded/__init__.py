"""The laptop stack: ClickHouse over chDB, S3 over rclone, Dagster; loopback only."""
