"""The warehouse: its tables, the loading of received hours, and dbt."""
