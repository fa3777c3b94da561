"""What is checked, one function each: it returns what was seen, or raises NotAsSeenBeforeError."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
from account import TABLE, Account, NotAsSeenBeforeError
from google.cloud import bigquery

DATA = Path(__file__).parents[1] / "data" / "tlc"
SAMPLES: dict[str, tuple[str, str | None]] = {
    "yellow": ("yellow_tripdata", "2019-02"),
    "green": ("green_tripdata", "2019-02"),
    "fhv": ("fhv_tripdata", "2019-01"),
    "fhvhv": ("fhvhv_tripdata", "2019-02"),
    "zones": ("taxi_zone_lookup", None),
}
"""Dataset → its table, and the month of a real sample."""

FAR = {"US": "EU", "EU": "US"}
"""Where a dataset is too far from a bucket; of a region, the other side of the ocean."""


@dataclass(frozen=True)
class Check:
    """A check; `emulators` tells whether emulators can stand in for the account.

    `makes_datasets` tells whether it needs datasets of its own, which an account of least rights may not make.
    """

    look: Callable[[Account], str]
    emulators: bool = True
    makes_datasets: bool = False

    @property
    def name(self) -> str:
        """What it is called."""
        return self.look.__name__.replace("_", " ")


def expect(right: bool, seen: object) -> None:
    """Raise NotAsSeenBeforeError with what was seen, unless it is right."""
    if not right:
        raise NotAsSeenBeforeError(str(seen))


def doctor_finds_all_in_order(account: Account) -> str:
    """With whatever account is signed in: with --bucket and --dataset, one of least rights."""
    ran = account.doctor()
    expect(ran.code == 0, ran.out)
    return f"{len(ran.out.splitlines())} lines, none of them wrong"


def two_months(account: Account) -> str:
    """Two months arrive, and a second run does nothing."""
    first = account.run(*account.months[:2])
    expect(first.code == 0, first.err)
    rows = {part["month"]: part["rows"] for part in first.parts}
    expect(account.counts() == rows, (account.counts(), rows))
    again = account.run(*account.months[:2])
    expect(again.outcomes == {"up_to_date"}, again.outcomes)
    return f"{sum(rows.values()):,} rows in {first.seconds:.0f} s; nothing to do in {again.seconds:.1f} s"


def rows_in_partitions(account: Account) -> str:
    """Each month is one partition, with the rows of its file."""
    sql = f"SELECT partition_id, total_rows FROM $.INFORMATION_SCHEMA.PARTITIONS WHERE table_name = '{TABLE}'"
    found = {f"{name[:4]}-{name[4:]}": rows for name, rows in account.ask(sql)}
    expect(found == account.counts(), found)
    return f"{len(found)} partitions"


def values_and_types(account: Account) -> str:
    """Times are DATETIME, and sums, least and greatest values are those of the Parquet files."""
    columns = "COUNT(*), SUM(total_amount), MIN(tpep_pickup_datetime), MAX(tpep_dropoff_datetime)"
    there = account.ask(f"SELECT {columns} FROM #")
    files = account.folder / "parquet" / "yellow" / "*.parquet"
    here = duckdb.sql(f"SELECT {columns} FROM '{files}'").fetchall()
    (one,), (other,) = there, here
    close = abs(float(one[1]) - float(other[1])) < 1e-6 * abs(float(other[1]))
    expect(close and (one[0], *one[2:]) == (other[0], *other[2:]), (one, other))
    where = f"table_name = '{TABLE}' AND column_name = 'tpep_pickup_datetime'"
    kinds = account.ask(f"SELECT data_type FROM $.INFORMATION_SCHEMA.COLUMNS WHERE {where}")
    expect(kinds == [("DATETIME",)], kinds)
    return f"{one[0]:,} rows, {one[2]} to {one[3]}"


def neighbour_untouched(account: Account) -> str:
    """A forced reload of a month leaves the partition of another as it is."""
    first, second = account.months[:2]
    sql = (
        "SELECT total_rows, last_modified_time FROM $.INFORMATION_SCHEMA.PARTITIONS "
        f"WHERE table_name = '{TABLE}' AND partition_id = '{second.replace('-', '')}'"
    )
    before = account.ask(sql)
    ran = account.run(first, more=("--force",))
    expect(ran.code == 0, ran.err)
    after = account.ask(sql)
    expect(before == after, (before, after))
    return f"of {after[0][0]:,} rows, changed last at {after[0][1]:%H:%M:%S}"


def forced_reload(account: Account) -> str:
    """A month that is loaded again has the same rows."""
    before = account.counts()
    ran = account.run(account.months[0], more=("--force",))
    expect(ran.code == 0, ran.err)
    expect(account.counts() == before, (before, account.counts()))
    return f"{before[account.months[0]]:,} rows before and after"


def many_months(account: Account) -> str:
    """All months at --jobs 12."""
    ran = account.run(*account.months, more=("--jobs", "12"))
    expect(ran.code == 0, ran.err)
    expect(set(account.counts()) == set(account.months), account.counts())
    again = account.run(*account.months)
    expect(again.outcomes == {"up_to_date"}, again.outcomes)
    return f"{len(account.months)} months in {ran.seconds:.0f} s; nothing to do in {again.seconds:.1f} s"


def kill_9_while_loading(account: Account) -> str:
    """A run that is killed while it loads leaves no month doubled or half, and the next one mends it."""
    before, month = account.counts(), account.months[0]
    killed = account.killed("load", month, "--force", when=account.is_loading)
    ran = account.run(month)
    expect(ran.code == 0, ran.err)
    expect(account.counts() == before, (before, account.counts()))
    return f"{before[month]:,} rows as before" if killed else "it ended before it was killed"


def upload_goes_on(account: Account) -> str:
    """An upload that is killed goes on with the next run."""
    folder = account.folder / "state" / "uploads" / "yellow"
    rows = {"TAXI_INGEST_DEMO__ROWS": "3000000", "TAXI_INGEST_DEMO__SEED": "7"}
    month = "2021-12"
    killed = account.killed("upload", month, when=lambda: any(folder.glob("*.json")), **rows)
    expect(killed and any(folder.glob("*.json")), "the upload ended before it was killed")
    ran = account.run(month, more=("--jobs", "1"), **rows)
    expect(ran.code == 0, ran.err)
    expect(not any(folder.glob("*.json")), "the note is still there")
    return f"{ran.parts[0]['rows']:,} rows arrived whole"


def merge_is_the_same(account: Account) -> str:
    """A month by load.method = merge has the rows of the same month as it was loaded before."""
    return _same_as(account, "merge")


def external_is_the_same(account: Account) -> str:
    """A month by load.method = external shows the rows of the same month as it was loaded."""
    return _same_as(account, "external")


def too_far_away(account: Account) -> str:
    """A dataset that is too far from the bucket is refused before anything is uploaded."""
    name = account.another_dataset("far")
    region = account.asked.region.upper()
    far = bigquery.Dataset(f"{account.asked.project}.{name}")
    far.location = FAR.get(region, "EU" if region.startswith("US") else "us-east1")
    account.bigquery.create_dataset(far)
    if far.location == "US":
        return "left out: a dataset in US loads from anywhere"
    ran = account.run(account.months[0], dataset=name)
    expect(ran.code == 1 and "must be in one location" in ran.err, (ran.code, ran.err))
    return f"{far.location} and {account.asked.region}: refused"


def tables_that_expire(account: Account) -> str:
    """A dataset whose tables are dropped by default is refused, with the remedy."""
    name = account.another_dataset("expiring")
    expiring = bigquery.Dataset(f"{account.asked.project}.{name}")
    expiring.location, expiring.default_table_expiration_ms = account.asked.region, 60 * 86_400_000
    account.bigquery.create_dataset(expiring)
    ran = account.run(account.months[0], dataset=name)
    expect(ran.code == 1 and "drops each new table 60 days after" in ran.err, (ran.code, ran.err))
    return "60 days: refused"


def bytes_billed(account: Account) -> str:
    """What the questions of all runs together were billed for."""
    billed = account.bytes_billed()
    expect(billed < 10 * 2**30, billed)
    return f"{billed / 2**20:,.0f} MiB"


def every_dataset_by_every_method(account: Account) -> str:
    """A real sample of each dataset, and the zones, are the same by partition, merge and external."""
    return _samples_by(account, ("partition", "merge", "external"))


def _samples_by(account: Account, methods: Sequence[str]) -> str:
    places = [account.another_dataset(f"samples_{number}_{method}") for number, method in enumerate(methods)]
    for name, (table, month) in SAMPLES.items():
        source = f"{DATA.as_uri()}/{'{dataset}_tripdata_{month}' if month else 'taxi_zone_lookup'}.csv"
        for method, place in zip(methods, places, strict=True):
            settings = {"TAXI_INGEST_LOAD__METHOD": method, "TAXI_INGEST_GLOBAL__SOURCE": source}
            ran = account.run(*filter(None, [month]), more=("--dataset", name), dataset=place, **settings)
            expect(ran.code == 0, ran.err)
        counts = {account.rows(table, place) for place in places}
        different = [account.differences(table, places[0], place) for place in places[1:]]
        expect(len(counts) == 1 and not any(different), (name, counts, different))
    return f"{', '.join(SAMPLES)}: none different"


def _same_as(account: Account, method: str) -> str:
    name, month = account.another_dataset(method), account.months[0]
    ran = account.run(month, dataset=name, TAXI_INGEST_LOAD__METHOD=method)
    expect(ran.code == 0, ran.err)
    where = f"file_month = DATE '{month}-01'"
    counts = [account.rows(TABLE, dataset, where) for dataset in (account.dataset, name)]
    different = account.differences(TABLE, account.dataset, name, where)
    expect(different == 0 and counts[0] == counts[1], (different, counts))
    return f"{counts[0]:,} rows, none different"


CHECKS = (
    Check(two_months),
    Check(doctor_finds_all_in_order),
    Check(rows_in_partitions, emulators=False),
    Check(values_and_types),
    Check(neighbour_untouched, emulators=False),
    Check(forced_reload),
    Check(many_months),
    Check(kill_9_while_loading),
    Check(upload_goes_on, emulators=False),
    Check(merge_is_the_same, makes_datasets=True),
    Check(external_is_the_same, emulators=False, makes_datasets=True),
    Check(every_dataset_by_every_method, emulators=False, makes_datasets=True),
    Check(too_far_away, emulators=False, makes_datasets=True),
    Check(tables_that_expire, emulators=False, makes_datasets=True),
    Check(bytes_billed, emulators=False),
)
"""In this order: later ones use what earlier ones loaded."""
