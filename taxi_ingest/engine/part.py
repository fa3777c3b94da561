"""One step of one part: decide, do the work with retries, leave a receipt. Knows nothing of the task engine."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from taxi_ingest import sources as publishers
from taxi_ingest.catalog import Part
from taxi_ingest.catalog.reading import expected_rows, sources
from taxi_ingest.history.writing import Attempt, History
from taxi_ingest.pipeline import Outcome, Pipeline, View
from taxi_ingest.redaction import public_url, redacted
from taxi_ingest.retrying import with_retries
from taxi_ingest.state.observe import Situations, stem

log = logging.getLogger("taxi_ingest")


class Runner:
    """Does the steps of one pipeline. Methods may be called from several threads."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.there = Situations(pipeline)
        self.stop = threading.Event()
        self.seconds = dict.fromkeys(pipeline.parts, 0.0)
        self._limits = {step: threading.BoundedSemaphore(n) for step, n in pipeline.at_once.items()}

    def close(self) -> None:
        """Stop waiting and let go of what was opened."""
        self.stop.set()
        self.there.publisher.close()

    def run(self, part: Part, step: str, history: History, view: View) -> Outcome:
        """Do `step` for `part` if it must be done, with retries, and leave its receipt.

        Raises what made the last try fail.
        """
        decision = self.there.decision(part, step)
        if decision.action == "up_to_date":
            return "up_to_date"
        if decision.action == "adopt":
            self.there.adopt(part, step)
            return "up_to_date"
        with self._limits[step]:
            begun = time.monotonic()
            view.started(part, step, decision.why)
            try:
                self._tries(part, step, decision.why, history, view)
            finally:
                self.seconds[part] += time.monotonic() - begun  # steps of one part never overlap
        return "done"

    def _tries(self, part: Part, step: str, why: str, history: History, view: View) -> None:
        def attempt(number: int) -> dict[str, Any]:
            with history.attempt(Attempt(part, step, number, why)) as result:
                log.info("%s %s begins: %s", part, step, why)
                facts = self._do(part, step, view, result["record"])
                result |= {"rows": facts.get("rows"), "bytes": facts.get("bytes")}
                log.info("%s %s is done: %s", part, step, facts)
            return facts

        facts = with_retries(
            self.pipeline.retries[step],
            attempt,
            wait=self.stop.wait,
            tell=lambda message, seconds: view.retrying(part, step, redacted(message), seconds),
        )
        self.there.finished(part, step, facts)

    def _do(self, part: Part, step: str, view: View, record: Callable[[str], None]) -> dict[str, Any]:
        if step == "load":
            return self._load(part, record)
        doing = {"download": self._download, "parquetize": self._parquetize, "upload": self._upload}
        return doing[step](part, view)

    def _download(self, part: Part, view: View) -> dict[str, Any]:
        from taxi_ingest.steps.download import download

        wish, receipt = self.there.wish(part), self.there.receipts.get(part, "download")
        source = wish.source or (receipt["source"] if receipt else self.there.publisher.identity(part))
        url = self.there.publisher.url(part, source)
        name = f"{stem(part)}{''.join(Path(urlsplit(url).path).suffixes[-2:]) or '.csv'}"
        target = self.pipeline.data_dir / "raw" / part.dataset / name
        facts = download(
            url,
            target,
            month=part.month,
            grace_days=self.pipeline.grace_days,
            timeout_seconds=self.pipeline.timeout_seconds,
            known_to_exist=self._known_rows(part, source) is not None,
            progress=lambda amount: view.moved(part, "download", amount),
            expect=lambda amount: view.expects(part, "download", amount),
        )
        shown = source if source.startswith("demo:") else public_url(url)
        return facts | {
            "source": source,
            "url": shown,
            "file": str(target.relative_to(self.pipeline.data_dir)),
        }

    def _parquetize(self, part: Part, view: View) -> dict[str, Any]:
        from taxi_ingest.steps.parquetize import Limits, Raw, Writer, parquetize

        got = self.there.receipts.must_get(part, "download")
        path = self.there.parquet_path(part)
        view.expects(part, "parquetize", expected_rows(part.dataset, part.month) or 0)
        facts = parquetize(
            Raw(
                self.pipeline.data_dir / got["file"],
                publishers.without_port(got["url"]),
                got["sha256"],
                got["bytes"],
                got["format"],
                tuple(got["columns"]),
            ),
            path,
            self.there.rejects_path(part),
            part=part,
            writer=Writer(**self.pipeline.writer),
            limits=Limits(self.pipeline.max_rejects, self.pipeline.strict, self._expected_rows(part, got["source"])),
            progress=lambda amount: view.moved(part, "parquetize", amount),
        )
        return facts | {"mtime_ns": path.stat().st_mtime_ns}

    def _known_rows(self, part: Part, source: str) -> int | None:
        """Rows known of the part's file; None for a source whose files were never counted."""
        counted = publishers.is_named(source) and sources()[source].format_of(part) == "parquet"
        return expected_rows(part.dataset, part.month) if counted else None

    def _expected_rows(self, part: Part, source: str) -> int | None:
        """Rows the file must roughly have; None when that is not known, and when forced."""
        return None if "parquetize" in self.pipeline.forced else self._known_rows(part, source)

    def _upload(self, part: Part, view: View) -> dict[str, Any]:
        from taxi_ingest.steps.upload import upload

        made = self.there.receipts.must_get(part, "parquetize")
        provenance = {k: str(made[k]) for k in ("source", "raw_sha256", "raw_bytes", "vintage", "rows", "rejects")}
        view.expects(part, "upload", made["bytes"])
        facts = upload(
            self.there.parquet_path(part),
            self.pipeline.store,
            self.there.object_name(part),
            mark=made["mark"],
            facts=provenance,
            progress=lambda amount: view.moved(part, "upload", amount),
        )
        return facts | {"at": self.pipeline.store}

    def _load(self, part: Part, record: Callable[[str], None]) -> dict[str, Any]:
        from taxi_ingest.steps.load import load

        made = self.there.receipts.must_get(part, "parquetize")
        reads_disk = "" in self.there.warehouse.reads
        file = (
            str(self.there.parquet_path(part))
            if reads_disk
            else self.there.store.object_url(self.there.object_name(part))
        )
        facts = load(
            file,
            self.pipeline.warehouse,
            dataset=part.dataset,
            month=part.month,
            mark=made["mark"],
            source=made["source"],
            rows=made["rows"],
            record=record,
        )
        return facts | {"at": self.pipeline.warehouse}
