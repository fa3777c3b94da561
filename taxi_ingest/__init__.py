"""taxi-ingest: any month of New York's taxi trip records, from the web to a table, each piece of work once.

The map, from the command line down; a module imports only from lines below its own, and a linter says so::

    cli/, dodo.py           verbs; parse, call, exit code          (dodo.py: the same for those who type `doit`)
    request                 settings and flags → a Pipeline; refuses what makes no sense
    config, tasks           settings; doit tasks
    report/, cron           everything a person sees; a crontab line
    session                 one run under way: lock, history, how every step ended
    plan, status            what a run would do and why; how far every part is
    runner                  one step of one part: decide, do, retry, leave a receipt
    history/, situations    what happened (SQLite); what is there, and the decision that follows
    newest, steps/          what `latest` stands for; download, parquetize, upload, load: one verb a file
    readers/                a published file → batches in the canonical schema, plus rejects
    row_groups, footers     a Parquet file whose row groups are encoded side by side; Parquet's footer
    stores/, warehouses/    where Parquet goes; where rows go: a contract each, one module a kind
    receipts, publishers    the pure decision "must this run, and why"; where a published file is
    demo, redirects         made-up months on loopback; which redirects are followed
    pipeline                one request as plain values
    catalog/, retrying      datasets, vintages, sources, as data; what passes by itself is waited out
    files, locking          files that appear whole or not at all; the one lock of a data directory
    redaction, unneeded     what may be shown of a URL; numpy and pandas, which take time to import
    errors                  what can go wrong, as one tree

Words:

dataset     one kind of trip records (monthly), or the zone lookup (one file, no months)
month       of the *file*, as `2021-01`; never of the pickup, since files carry stray dates
part        one dataset and one month: what is downloaded, converted, replaced, reported
vintage     one published layout of a dataset's files, with the months it was used
source      who publishes files; store: where Parquet goes; warehouse: where rows go
receipt     the small JSON file a finished step leaves: what went in, what came out
mark        the identity of a part's rows: of the published bytes and what the catalog says of them
run         one invocation; attempt: one try of one step of one part, with its own log file
"""

import os
import sys

__version__ = "0.1.0"

if sys.platform == "linux":
    # Arrow asks once, when it is first imported. What one thread makes and another frees leaves least behind so.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
