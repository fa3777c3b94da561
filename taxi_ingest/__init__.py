"""taxi-ingest: any month of New York's taxi trip records, from the web to a table, each piece of work once.

The way of a request, from the command line down. A module imports only from lines below its own, and a linter says so.
The front page (`__init__.py`) of a folder names the modules in it::

    cli/, dodo              verbs: parse, call, exit code              (dodo: the same tasks for those who type `doit`)
    airflow/                a dataset's months as an Airflow DAG
    page/                   what is there and what happened as one HTML file
    report/, cron, systemd  everything a person sees on a terminal; a crontab line; a service and its timer
    nights                  the months that the nights of such a line load
    engine/                 takes one part through its steps, or a whole run with its lock and history; removes files
    steps/                  download, parquetize, upload, load: one verb a file; takes receipts, returns its own
    verification/           is every copy of a part what its receipt says?
    state/                  receipts; what is there; must a step run, and may a file go? (pure); plan and status
    job                     settings and flags → one job of plain values; refuses what makes no sense
    asked                   which parts a request names
    settings                built-in defaults < config.toml < environment < flags
    history/                what happened: runs, attempts, outcomes (SQLite)
    sources/                where published files are: named sources, URL templates, the newest month, the demo
    stores/, warehouses/    where Parquet goes; where rows go: a contract each, one module a kind
    writers/                batches → a Parquet file with its provenance in the footer
    readers/                a published file → batches in the canonical schema, plus rejects
    layout                  every path below the data directory
    google_cloud            what GCS and BigQuery share: clients, emulators, retries, error sentences
    google_sign_in          whose credentials are used, and what is wrong with them
    google_answers          the JSON of an error, and what may be shown of it
    google_roles            which role grants a permission, and on what
    catalog/                datasets, vintages, parts, sources, as data
    place, retrying         what a URL names and what of it may be shown; passing faults are waited out
    graph, exits            the steps in order and how they end; the exit codes
    files, redaction        files that appear whole or not at all; URLs without secrets
    printable               text without what would steer a terminal
    values                  what a setting may be: its type, its range or its choices
    process                 what the command's process may import, and how it ends
    errors                  what can go wrong, as one tree

Words:

dataset     one kind of trip records (monthly), or the zone lookup (one file, no months)
month       of the *file*, as `2021-01`; never of the pickup, since files carry stray dates
part        one dataset and one month: what is downloaded, converted, replaced, reported
vintage     one published layout of a dataset's files, with the months it was used
source      who publishes files; store: where Parquet goes; warehouse: where rows go; each is named as a place
artefact    a file of a part on this disk: raw or Parquet; copy: an artefact, object or month in a table
orphan      a file that a run left and no part owns any more
receipt     the small JSON file a finished step leaves: what went in, what came out
mark        the identity of a part's rows: of the published bytes and what the catalog says of them
job         one request as plain values; run: one invocation; attempt: one try of one step of one part, with its log
"""

import os
import sys

__version__ = "0.2.0"

if sys.platform == "linux":
    # Arrow reads these once, at its first import. jemalloc keeps least memory when one thread frees what another made,
    # and with one arena it does not keep some for each thread that has ended: 252 MB instead of 316 for 12 months.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
    os.environ.setdefault("JE_ARROW_MALLOC_CONF", "narenas:1")
