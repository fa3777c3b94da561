"""The steps, one verb a file: `download`, `parquetize`, `upload`, `load`.

Each takes and returns plain values and leaves its file whole or not at all. `counting` is what a conversion counts,
`limits` how much may be wrong with a file; `checking` compares a Parquet file with its checksum before it is used.
"""
