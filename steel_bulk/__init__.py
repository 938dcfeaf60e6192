"""Archives of strips into Parquet: many workers, exactly one row a strip whatever is killed meanwhile."""
