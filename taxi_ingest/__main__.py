"""`python -m taxi_ingest`: the same as the command `taxi-ingest`."""

from taxi_ingest.cli import main

main()
