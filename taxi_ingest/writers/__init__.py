"""From batches in the canonical schema to a Parquet file.

`parquet` writes the file, `row_groups` encodes its row groups side by side. The footer says where the rows come from
(`provenance`), what a person should know of the conversion (`findings`), and the file's own `checksum`.
"""
