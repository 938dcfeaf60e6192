"""Archives of strips into Parquet by many workers: one row per strip, whatever is killed meanwhile."""
