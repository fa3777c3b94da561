"""From batches in the canonical schema to a Parquet file.

`parquet` writes the file, `row_groups` encodes its row groups side by side, `thrift_footer` reads and writes Parquet's
footer, `provenance` is what ours says there.
"""
