"""Takes files off this disk: what `keep` does not name, what `clean` is told, and what killed runs left."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from taxi_ingest import stores
from taxi_ingest.catalog import Part
from taxi_ingest.graph import Artefact, Step
from taxi_ingest.job import Job
from taxi_ingest.layout import object_name
from taxi_ingest.sources import partial
from taxi_ingest.state.observe import Observer
from taxi_ingest.state.on_disk import is_original, missing_original
from taxi_ingest.state.retention import why_kept
from taxi_ingest.state.wanted import wanted
from taxi_ingest.stores import Store, unfinished

log = logging.getLogger("taxi_ingest")

_LAST_TO_NEED: Mapping[Step, Artefact] = {"parquetize": "raw", "load": "parquet"}
"""The step after which a file is needed no more."""


def remove_unkept(observer: Observer, job: Job, part: Part, step: Step) -> None:
    """Remove the file that `step`, which ended well, was the last to need, unless some run was told to keep it.

    What an earlier run was told to keep stays until `clean` removes it. A file that cannot be removed is left for the
    next run.
    """
    artefact = _LAST_TO_NEED.get(step)
    if artefact is None or artefact in job.kept or not _is_temporary(observer, part, artefact):
        return
    if why := reason_to_keep(observer, job, part, artefact):
        log.info("%s: the %s file is not kept, but stays: %s", part, artefact, why)
        return
    try:
        file_of(observer, job, part, artefact).unlink(missing_ok=True)
    except OSError as error:
        log.info("%s: the %s file cannot be removed: %s", part, artefact, error)
        return
    observer.removed(part, artefact)


def remove_leftovers(job: Job, store: Store) -> None:
    """Remove what killed runs left unfinished; right only under the lock of a run, when nobody is writing it."""
    layout = job.layout
    for scratch in layout.scratch_files():
        scratch.unlink(missing_ok=True)
    stores.sweep(store, layout.parquets)
    partial.forget_old(layout.raws, time.time())
    unfinished.forget_old(layout.uploads, time.time())


def prune(observer: Observer, job: Job, part: Part, artefact: Artefact) -> None:
    """Remove a file that may go, so that no run makes it again just because it is missing.

    The receipt is written first: a process killed in between leaves a file that is still good.
    """
    parquet = observer.observe(part).parquet
    if artefact == "parquet" and parquet is not None:
        observer.receipts.put(part, "parquetize", replace(parquet, pruned=True))
    file_of(observer, job, part, artefact).unlink(missing_ok=True)
    observer.removed(part, artefact)


def reason_to_keep(observer: Observer, job: Job, part: Part, artefact: Artefact, *, raw_goes: bool = False) -> str:
    """Why a file of `part` must stay, in the words of `why_kept`; "" when it may go.

    With `raw_goes`, the raw file counts as removed already. While the table cannot be asked every file stays, except a
    raw file whose Parquet is there: nothing needs it.
    """
    needs_answer = artefact == "parquet" or not is_there(observer, part, "parquet")
    if needs_answer and not observer.answers(part):
        return "another program has the table open"
    if why := _why_no_copy(observer, job, part, artefact):
        return why
    now = observer.observe(part)
    if raw_goes:
        now = replace(now, raw_present=False)
    return why_kept(artefact, now, wanted(job, part), missing_original(now.receipts.download))


def _why_no_copy(observer: Observer, job: Job, part: Part, artefact: Artefact) -> str:
    """Why a file must stay because it is no copy, but the original itself; "" for a copy."""
    path = file_of(observer, job, part, artefact)
    if artefact == "raw":
        itself = is_original(path, observer.observe(part).receipts.download)
        return "it is the very file that it was downloaded from" if itself else ""
    itself = bool(job.store.path) and path.resolve() == Path(observer.store.url(object_name(part))).resolve()
    return "it is the very object in the store" if itself else ""


def is_there(observer: Observer, part: Part, artefact: Artefact) -> bool:
    """Whether the file is there and is the one that a step left."""
    now = observer.observe(part)
    return now.raw_present if artefact == "raw" else now.parquet is not None


def file_of(observer: Observer, job: Job, part: Part, artefact: Artefact) -> Path:
    """The path of a file of `part`, whose download has a receipt."""
    downloaded = observer.observe(part).receipts.download
    if artefact == "parquet":
        return job.layout.parquet(part)
    if downloaded is None:
        raise RuntimeError(f"{part} has no receipt of a download")
    return job.layout.data_dir / downloaded.file


def _is_temporary(observer: Observer, part: Part, artefact: Artefact) -> bool:
    now = observer.observe(part)
    receipt = now.receipts.download if artefact == "raw" else now.parquet
    return receipt is not None and receipt.temporary and is_there(observer, part, artefact)
