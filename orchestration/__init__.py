"""Dagster, the command line and the embedded stack: the only part that opens connections."""
