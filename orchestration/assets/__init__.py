"""The assets of every source, made from its contracts and its dbt models: a new source copies no code."""
