"""DDL, applied in the order of the file names."""
