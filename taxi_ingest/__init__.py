"""taxi-ingest: any month of New York's taxi trip records, from the web to a table, each piece of work once."""

__version__ = "0.1.0"
