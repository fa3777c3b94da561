"""Write Parquet: row groups encoded in parallel, and the footer that ties them together."""
