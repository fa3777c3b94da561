"""What publishers have changed of the files that are held; they are asked before a run, and for a plan."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from taxi_ingest.catalog import Part
from taxi_ingest.catalog.reading import sources
from taxi_ingest.errors import TaxiError
from taxi_ingest.job import Job
from taxi_ingest.redaction import redacted
from taxi_ingest.retrying import Retries, with_retries
from taxi_ingest.sources import Publisher, is_demo, is_named
from taxi_ingest.sources.patience import Patience
from taxi_ingest.sources.versions import Reply, Version, ask, compared
from taxi_ingest.state.receipts import Downloaded, PartReceipts
from taxi_ingest.state.wanted import wanted

UNTOLD = "the publisher does not tell whether it changed"


@dataclass(frozen=True)
class Refreshed:
    """What came of asking: how many files were asked for, and what is said of those that are not as they were.

    `changed` and `untold` say why a download must run: the file is another one, or its publisher does not tell; `gone`
    are files that the publisher no longer has; `sizes` of changed files in bytes, where told; `unanswered` is a
    sentence for each publisher that could not be asked.
    """

    asked: int = 0
    changed: Mapping[Part, str] = field(default_factory=dict)
    untold: Mapping[Part, str] = field(default_factory=dict)
    gone: Mapping[Part, str] = field(default_factory=dict)
    sizes: Mapping[Part, int] = field(default_factory=dict)
    unanswered: tuple[str, ...] = ()

    @property
    def reasons(self) -> Mapping[Part, str]:
        """Why the downloads that must run must run."""
        return {**self.changed, **self.untold}


def refresh(
    job: Job,
    parts: Collection[Part],
    receipts_of: Callable[[Part], PartReceipts],
    publisher: Publisher,
    tell: Callable[[str], None],
) -> Refreshed:
    """Ask about the held files of `parts` that `job` wants asked for, at most `at_once` at a time.

    `tell` hears how many they are. A publisher that fails to answer is not asked about its other files. A job that was
    not told to refresh asks only once, because its next run asks again.
    """
    held = {part: receipt for part in job.parts if (receipt := _asked_for(job, part, receipts_of)) is not None}
    chosen = list(held) if job.refresh else newest(list(held), job.refresh_months)
    held = {part: held[part] for part in chosen if part in parts}
    if not held:
        return Refreshed()
    tell(f"asking what became of {_files(len(held))}")
    inquiry = _Inquiry(job, publisher)
    replies = inquiry.ask(held)
    changed = {part: reply for part, reply in replies.items() if reply.verdict == "changed"}
    untold = [part for part, reply in replies.items() if reply.verdict == "unknown"] if job.refresh else []
    return Refreshed(
        asked=len(replies),
        changed={part: _reason(held[part], reply.now) for part, reply in changed.items()},
        untold=dict.fromkeys(untold, UNTOLD),
        gone={part: _of_gone(held[part]) for part, reply in replies.items() if reply.verdict == "gone"},
        sizes={part: reply.now.size for part, reply in changed.items() if reply.now.size is not None},
        unanswered=tuple(inquiry.unanswered()),
    )


def newest(parts: Sequence[Part], months: int) -> list[Part]:
    """Of each dataset the newest `months` parts; of one without months its only part, unless `months` is 0."""
    of_dataset: dict[str, list[Part]] = {}
    for part in sorted(parts, key=lambda part: part.month or "", reverse=True):
        of_dataset.setdefault(part.dataset, []).append(part)
    chosen = {part for theirs in of_dataset.values() for part in theirs[:months]}
    return [part for part in parts if part in chosen]


def republished(before: PartReceipts, after: PartReceipts) -> str:
    """What a download that replaced an earlier one brought: both dates, both numbers of rows; "" if nothing new."""
    old, new = before.download, after.download
    if old is None or new is None or old.source != new.source:
        return ""
    refused = before.parquetize is not None and before.parquetize.raw_sha256 != old.sha256
    dates = "" if refused else _dates(old.version, new.version)  # what is held is of a version before that one
    dates = f" ({dates})" if dates else ""
    if old.sha256 == new.sha256:
        changed = compared(old.version, new.version) == "changed"
        return f"published anew with the same bytes: nothing is reloaded{dates}" if changed else ""
    who = sources()[new.source].title if is_named(new.source) else "the publisher"
    return f"{who} republished it: {_amounts(before, after)}{dates}"


def _amounts(before: PartReceipts, after: PartReceipts) -> str:
    """Rows that were held, of whichever version, and rows after; bytes where the files were not both converted."""
    held, now = before.parquetize, after.parquetize
    if held and now and after.download and now.raw_sha256 == after.download.sha256:
        return f"{held.rows:,} → {now.rows:,} rows"
    sizes = [theirs.download.bytes for theirs in (before, after) if theirs.download]
    return f"{sizes[0]:,} → {sizes[1]:,} bytes"


def _files(count: int) -> str:
    return f"{count:,} published file{'' if count == 1 else 's'}"


def _asked_for(job: Job, part: Part, receipts_of: Callable[[Part], PartReceipts]) -> Downloaded | None:
    """The receipt of a file that its publisher may be asked about; None for one that is made up, or fetched anyway."""
    if "download" in job.forced or not (job.refresh or job.refresh_months):
        return None
    receipt = receipts_of(part).download
    if receipt is None or is_demo(receipt.source):
        return None
    return receipt if wanted(job, part).source in {"", receipt.source} else None


def _reason(held: Downloaded, now: Version) -> str:
    dates = _dates(held.version, now)
    return f"republished: {dates}" if dates else "republished"


def _of_gone(held: Downloaded) -> str:
    day = held.version.day
    return f"the publisher no longer has this file; the copy{f' of {day}' if day else ''} stays"


def _dates(old: Version, new: Version) -> str:
    """Both days in words, both sizes where the days do not differ; "" where nothing is told that differs."""
    if old.day and new.day and old.day != new.day:
        return f"was of {old.day}, is of {new.day}"
    if old.size is not None and new.size is not None and old.size != new.size:
        return f"was {old.size:,} bytes, is {new.size:,} bytes"
    return ""


class _Inquiry:
    """Questions to publishers, several at a time."""

    def __init__(self, job: Job, publisher: Publisher) -> None:
        self._job = job
        self._publisher = publisher
        self._retries = job.retries["download"] if job.refresh else Retries(1, 0)
        self._patience = Patience(job.timeout_seconds, job.slowest_bytes_per_second)
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._silent: dict[str, str] = {}
        self._unasked: dict[str, int] = {}

    def ask(self, held: Mapping[Part, Downloaded]) -> dict[Part, Reply]:
        """The replies, without those that did not come."""
        pool = ThreadPoolExecutor(self._job.at_once["download"])
        try:
            replies = dict(zip(held, pool.map(self._ask_one, held.items()), strict=True))
        finally:  # an interrupt does not wait for a publisher that is silent
            self._stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
        return {part: reply for part, reply in replies.items() if reply is not None}

    def unanswered(self) -> list[str]:
        """A sentence for each publisher that could not be asked."""
        return [
            f"{host or 'this disk'} could not be asked whether it changed {_files(self._unasked[host])}; "
            f"what is here stays. {why}"
            for host, why in self._silent.items()
        ]

    def _ask_one(self, asked: tuple[Part, Downloaded]) -> Reply | None:
        part, receipt = asked
        host = urlsplit(receipt.url).hostname or ""
        if host not in self._silent:
            try:
                url = self._publisher.url(part, receipt.source)
                return with_retries(
                    self._retries, lambda _: ask(url, receipt.version, self._patience), wait=self._stopped.wait
                )
            except TaxiError as error:
                with self._lock:
                    self._silent.setdefault(host, redacted(str(error)))
        with self._lock:
            self._unasked[host] = self._unasked.get(host, 0) + 1
        return None
