"""The object store and what lies in it: paths, manifests, parquet."""
