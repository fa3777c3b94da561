"""Every path below the data directory.

::

    raw/<dataset>/…             published files, as they came
    parquet/<dataset>/…         the same rows in the canonical schema
    rejects/<dataset>/….csv     lines that could not be read, each with its reason
    lake/<dataset>/…            the store, unless another is named
    lake.marks/<dataset>/…      the marks of its objects
    taxi.duckdb                 the warehouse, unless another is named
    state/                      receipts, history.sqlite, doit's own file, the lock
    logs/<run>/….log            one log file an attempt
    report.html                 the page, unless another file is named
    .lock                       the lock once more, for whoever removes state/ while a run is at work
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from taxi_ingest.catalog import Dataset, Part
from taxi_ingest.catalog.months import is_month
from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.catalog.reading import datasets
from taxi_ingest.files import is_scratch, scratch_owner
from taxi_ingest.graph import Step

NO_MONTH = "all"
"""The folder of receipts of a dataset without months."""
_RAW_SUFFIXES = (".csv", ".csv.gz", ".parquet")
_SCRATCH = ".*.tmp"
"""How `files.replacing` names what is not finished yet."""


@dataclass(frozen=True)
class Layout:
    """The paths of one data directory. Asking for a path touches nothing."""

    data_dir: Path

    @property
    def state(self) -> Path:
        """What we know: receipts, history, lock."""
        return self.data_dir / "state"

    @property
    def lock(self) -> Path:
        """The lock that a run holds."""
        return self.state / "lock"

    @property
    def outer_lock(self) -> Path:
        """What a run holds as well: a lock that stays where it is when somebody removes `state/`."""
        return self.data_dir / ".lock"

    @property
    def history(self) -> Path:
        """The SQLite file of runs and attempts."""
        return self.state / "history.sqlite"

    @property
    def uploads(self) -> Path:
        """The notes of uploads that were begun, one folder a dataset."""
        return self.state / "uploads"

    @property
    def doit_database(self) -> Path:
        """Where doit would keep its own state; nothing is written there."""
        return self.state / "doit"

    @property
    def logs(self) -> Path:
        """The folder of log files, one folder a run."""
        return self.data_dir / "logs"

    @property
    def page(self) -> Path:
        """The page that `report` writes unless another file is named."""
        return self.data_dir / "report.html"

    @property
    def lake(self) -> Path:
        """The folder that is the store unless another is named."""
        return self.data_dir / "lake"

    @property
    def duckdb(self) -> Path:
        """The DuckDB file that is the warehouse unless another is named."""
        return self.data_dir / "taxi.duckdb"

    def uses(self, folder: Path) -> bool:
        """Whether `folder`, a full path without links, is the data directory or lies where it keeps files of its own.

        The lake is none of these: it is a store.
        """
        own = (self.raws, self.parquets, self.rejects_folder, self.state, self.logs)
        return folder == self.data_dir.resolve() or any(folder.is_relative_to(one.resolve()) for one in own)

    def raw(self, part: Part, suffix: str) -> Path:
        """The published file of a part; `suffix` is the published one, such as `.csv.gz`."""
        return self.data_dir / "raw" / part.dataset / f"{stem(part)}{suffix}"

    @property
    def raws(self) -> Path:
        """The folder of published files, one folder a dataset."""
        return self.data_dir / "raw"

    def is_raw_of(self, part: Part, file: str) -> bool:
        """Whether `file`, a path below the data directory, is where a raw file of `part` lies."""
        folder, _, name = file.rpartition("/")
        return folder == f"raw/{part.dataset}" and name.startswith(f"{stem(part)}.") and "\0" not in name

    @property
    def parquets(self) -> Path:
        """The folder of Parquet files, one folder a dataset."""
        return self.data_dir / "parquet"

    def parquet(self, part: Part) -> Path:
        """The Parquet file of a part."""
        return Path(f"{self.data_dir}/parquet/{part.dataset}/{stem(part)}.parquet")

    @property
    def rejects_folder(self) -> Path:
        """The folder of rejects, one folder a dataset."""
        return self.data_dir / "rejects"

    def rejects(self, part: Part) -> Path:
        """The rejects of a part."""
        return self.rejects_folder / part.dataset / f"{stem(part)}.csv"

    def receipt(self, part: Part, step: Step) -> str:
        """The receipt of a step of a part; a str, because there are thousands of them and a Path costs more."""
        return f"{self.data_dir}/state/receipts/{part.dataset}/{part.month or NO_MONTH}/{step}.json"

    def parts_with_receipts(self) -> list[Part]:
        """The parts that have any receipt, by dataset and month; folders that no part can have are passed over."""
        folders = sorted({path.parent for path in self.state.glob("receipts/*/*/*.json")})
        return [
            Part(folder.parent.name, folder.name if datasets()[folder.parent.name].monthly else None)
            for folder in folders
            if folder.parent.name in datasets() and _is_folder_of(datasets()[folder.parent.name], folder.name)
        ]

    def scratch_files(self) -> Iterator[Path]:
        """What killed runs left unfinished; only right while no run is at work."""
        for folder in ("raw", "parquet", "rejects", "state/receipts/*", "state/uploads"):
            yield from filter(_is_scratch, self.data_dir.glob(f"{folder}/*/{_SCRATCH}"))
        # other data directories may write into our lake; what bears an owner is left to the store's own sweep
        for path in self.data_dir.glob(f"lake/*/{_SCRATCH}"):
            if _is_scratch(path) and not scratch_owner(path.name):
                yield path

    def part_lock(self, part: Part) -> Path:
        """The lock of one part, for engines whose workers share the data directory."""
        return self._part_locks / f"{part}.lock"

    def part_locks(self) -> list[Path]:
        """The locks of parts that there are, held or not."""
        return sorted(self._part_locks.glob("*.lock"))

    @property
    def _part_locks(self) -> Path:
        return self.state / "locks"

    def scratch_files_of(self, part: Part) -> Iterator[Path]:
        """What killed tasks left of one part; only right while no task is at work on it."""
        for folder in ("raw", "parquet", "rejects"):
            yield from self.data_dir.glob(f"{folder}/{part.dataset}/.{stem(part)}.*.tmp")
        yield from self.state.glob(f"receipts/{part.dataset}/{part.month or NO_MONTH}/{_SCRATCH}")


def _is_scratch(path: Path) -> bool:
    return is_scratch(path.name)


def _is_folder_of(dataset: Dataset, name: str) -> bool:
    return is_month(name) if dataset.monthly else name == NO_MONTH


def object_name(part: Part) -> str:
    """The name of a part's object within a store."""
    return f"{part.dataset}/{stem(part)}.parquet"


def is_object_name(name: str) -> bool:
    """Whether `name` is the name of an object of some part of the catalog."""
    part = part_named(*name.rpartition("/")[::2])
    return part is not None and name == object_name(part)


def part_named(dataset: str, file: str) -> Part | None:
    """The part whose files in a folder called `dataset` are named like `file`, whatever the suffix."""
    known, name = datasets().get(dataset), file.partition(".")[0]
    if known is None or name == file:
        return None
    month = name.rpartition("_")[2] if known.monthly else None
    if month is not None and not is_month(month):
        return None
    part = Part(dataset, month)
    return part if name == stem(part) else None


def is_raw_name(dataset: str, file: str) -> bool:
    """Whether a published file of some part is usually kept under this name in a folder called `dataset`."""
    part = part_named(dataset, file)
    return part is not None and file.removeprefix(stem(part)) in _RAW_SUFFIXES


def stem(part: Part) -> str:
    """The name that a part's files share, without folder and suffix."""
    table = dataset_named(part.dataset).table
    return f"{table}_{part.month}" if part.month else table
