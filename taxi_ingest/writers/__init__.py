"""From batches in the canonical schema to a Parquet file.

`parquet` writes the file, `row_groups` encodes its row groups side by side, `provenance` is what the footer of ours
says, `checksum` the checksum of itself that it has there.
"""
