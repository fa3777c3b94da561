"""Must a step run? Pure functions of what was observed and what is wanted.

`decide()` says whether a step must run, may be adopted (the work is there, only its receipt is not) or is up to date,
and why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from taxi_ingest.catalog import Part
from taxi_ingest.graph import STEPS, Artefact, Step
from taxi_ingest.state.mark import mark
from taxi_ingest.state.receipts import Downloaded, Loaded, Parquetized, PartReceipts, Receipt, Uploaded
from taxi_ingest.writers.provenance import Writer

RAW_MISSING = "the raw file is gone and parquetize needs it"
IN_USE = "the table cannot be asked while another program has it open"
DISTRUSTED = "verify found it changed"
STRICT = "strict: the file may have unknown columns or codes, or be of another month"
CARRIED = "the object in the store tells what was downloaded"

Action = Literal["run", "adopt", "up_to_date"]


@dataclass(frozen=True)
class Decision:
    """What to do about a step, and why in a few words for people."""

    action: Action
    why: str = ""


@dataclass(frozen=True)
class Wanted:
    """What a run wants of a part.

    `source` is "" when the part may keep the source it has; `targets` are the steps asked for (each with what it
    needs); `kept` the artefacts that stay on this disk; `forced` the steps that are redone whatever is known.
    """

    source: str
    writer: Writer
    targets: frozenset[Step]
    kept: frozenset[Artefact]
    forced: frozenset[Step] = frozenset()
    strict: bool = False


@dataclass(frozen=True)
class Observed:
    """What is known of a part at one moment.

    `receipts` are what is remembered of its steps; those that this machine lacks, and the object in the store carries,
    are in `carried` as well. `parquet` (the file), `stored` (the object in the store) and `month` (in the table) are
    what is there now, each as the receipt that it deserves; None where there is none.

    `raw_present`: the raw file is as its receipt says. `may_be_replaced`: it was refused, and there may be another one
    by now where it came from. `republished`: why the published file is taken for another one than ours; "" when it is
    not, or nobody asked. `parquet_damaged`: the Parquet file is not what its receipt or footer says. `month_whole`: the
    table has as many rows of the month as were loaded. `month_stale`: why a whole month must be loaded again, or "".
    """

    part: Part
    receipts: PartReceipts = field(default_factory=PartReceipts)
    carried: PartReceipts = field(default_factory=PartReceipts)
    raw_present: bool = False
    may_be_replaced: bool = False
    republished: str = ""
    parquet: Parquetized | None = None
    parquet_damaged: bool = False
    stored: Uploaded | None = None
    month: Loaded | None = None
    month_whole: bool = True
    month_stale: str = ""

    @property
    def mark(self) -> str:
        """The mark that the downloaded file leads to; "" while that is not known."""
        return mark(self.part, self.receipts.download)

    def proven(self, step: Step) -> Receipt | None:
        """The receipt that what is there now deserves; None when nothing is there."""
        there = {"download": None, "parquetize": self.parquet, "upload": self.stored, "load": self.month}[step]
        return there or self.carried.of(step)

    def after(self, receipt: Receipt) -> Observed:
        """What is known once a step has left `receipt`."""
        match receipt:
            case Downloaded():
                receipts, carried = replace(self.receipts, download=receipt), replace(self.carried, download=None)
                if receipt == self.carried.download:
                    return replace(self, receipts=receipts, carried=carried)
                return replace(
                    self, receipts=receipts, carried=carried, raw_present=True, may_be_replaced=False, republished=""
                )
            case Parquetized():
                receipts, carried = replace(self.receipts, parquetize=receipt), replace(self.carried, parquetize=None)
                if receipt == self.carried.parquetize:
                    return replace(self, receipts=receipts, carried=carried)
                return replace(self, receipts=receipts, carried=carried, parquet=receipt, parquet_damaged=False)
            case Uploaded():
                return replace(self, receipts=replace(self.receipts, upload=receipt), stored=receipt)
            case Loaded():
                receipts = replace(self.receipts, load=receipt)
                return replace(self, receipts=receipts, month=receipt, month_whole=True, month_stale="")


def decide(step: Step, now: Observed, wanted: Wanted) -> Decision:
    """Whether `step` must run for this part, may be adopted, or is up to date; and why."""
    if step in wanted.forced:
        return Decision("run", "forced")
    if _is_distrusted(step, now):
        return Decision("run", DISTRUSTED)
    decision = _DECIDE[step](now, wanted)
    if decision.action == "up_to_date" and now.carried.of(step) is not None:
        return Decision("adopt", CARRIED)
    return decision


def _is_distrusted(step: Step, now: Observed) -> bool:
    """Whether `verify` found that what `step` made is not what its receipt says, and it is still there."""
    receipt, there = now.receipts.of(step), now.proven(step)
    if receipt is None or (there is None and step != "download"):
        return False
    if isinstance(receipt, Uploaded | Loaded) and isinstance(there, Uploaded | Loaded) and receipt.at != there.at:
        return False  # it was found in another store or warehouse
    return receipt.distrusted


def _download(now: Observed, wanted: Wanted) -> Decision:
    receipt = now.receipts.download
    if receipt is None:
        return Decision("run", "not downloaded yet")
    if wanted.source and receipt.source != wanted.source:
        return Decision("run", f"another source: {wanted.source}, before {receipt.source}")
    if now.may_be_replaced:
        return Decision("run", "the file was refused and may have been replaced")
    if now.republished:
        return Decision("run", now.republished)
    if not now.raw_present and _is_needed("parquetize", wanted) and decide("parquetize", now, wanted).action == "run":
        return Decision("run", RAW_MISSING)
    return Decision("up_to_date")


def _parquetize(now: Observed, wanted: Wanted) -> Decision:
    if now.parquet_damaged:
        return Decision("run", "the Parquet file was changed by someone else")
    have = now.parquet
    if have is None:
        return _missing_parquet(now, wanted)
    if why := _why_converted_again(have, now, wanted):
        return Decision("run", why)
    return _proven(have == now.receipts.parquetize, "the footer proves it")


def _why_converted_again(have: Parquetized, now: Observed, wanted: Wanted) -> str:
    """Why the Parquet file that is there will not do; "" when it will."""
    if not now.mark or have.mark != now.mark:
        return "the file, its layout or the way it is read changed"
    if have.writer != wanted.writer:
        return "the writer settings changed"
    if wanted.strict and not have.passes_strict:
        return STRICT
    stored = now.stored
    if now.receipts.parquetize is None and stored and stored.mark == have.mark and stored.crc32c != have.crc32c:
        return "no receipt tells the checksum of the Parquet file, and the object in the store has another"
    return ""


def _missing_parquet(now: Observed, wanted: Wanted) -> Decision:
    had = now.receipts.parquetize
    removed = had is not None and had.was_removed
    if "parquetize" in wanted.targets or ("parquet" in wanted.kept and not removed):
        return Decision("run", "the Parquet file is missing" if had else "not converted yet")
    if wanted.strict and had is not None and not had.passes_strict:
        return Decision("run", STRICT)
    later: tuple[Step, ...] = ("upload", "load")
    for step in later:
        if step == "load" and _is_in_store(now):
            continue
        if _is_needed(step, wanted) and decide(step, now, wanted).action == "run":
            return Decision("run", f"the Parquet file is missing and {step} needs it")
    return Decision("up_to_date", f"{'removed on purpose' if removed else 'not kept'}, and no later step needs it")


def _is_in_store(now: Observed) -> bool:
    """Whether the store holds the Parquet file itself, so that a load reads or fetches it there."""
    wrote, stored = now.receipts.parquetize, now.stored
    if wrote is None or stored is None or not now.mark:
        return False
    return (wrote.mark, stored.mark, wrote.crc32c) == (now.mark, now.mark, stored.crc32c)


def _upload(now: Observed, _wanted: Wanted) -> Decision:
    if now.stored is None:
        return Decision("run", "the store has no such object")
    if now.stored.mark and now.stored.mark != now.mark:
        return Decision("run", "the object in the store has other rows")
    ours = now.parquet or now.receipts.upload
    if now.parquet_damaged or (ours is not None and ours.crc32c != now.stored.crc32c):
        return Decision("run", "the object's bytes are not those of the Parquet file")
    if not now.stored.mark:
        return Decision("run", "the object in the store has no mark")
    receipt = now.receipts.upload
    agrees = receipt is not None and (receipt.at, receipt.mark) == (now.stored.at, now.stored.mark)
    return _proven(agrees, "the store proves it")


def _load(now: Observed, _wanted: Wanted) -> Decision:
    if now.month is None:
        return Decision("run", "the table lacks the month")
    if now.month.mark != now.mark:
        return Decision("run", "the table holds the month from another file")
    if not now.month_whole:
        return Decision("run", "rows of the month are missing from the table, or too many")
    if now.month_stale:
        return Decision("run", now.month_stale)
    receipt = now.receipts.load
    agrees = receipt is not None and (receipt.at, receipt.mark) == (now.month.at, now.month.mark)
    return _proven(agrees, "the table proves it")


def _proven(receipt_agrees: bool, why: str) -> Decision:
    """What to do when the work is there: nothing, or renew a receipt that does not say so."""
    return Decision("up_to_date") if receipt_agrees else Decision("adopt", why)


_DECIDE: Mapping[Step, Callable[[Observed, Wanted], Decision]] = {
    "download": _download,
    "parquetize": _parquetize,
    "upload": _upload,
    "load": _load,
}


def _is_needed(step: Step, wanted: Wanted) -> bool:
    """Whether `step` is asked for, or needed by a step that is."""
    return any(STEPS.index(step) <= STEPS.index(target) for target in wanted.targets)
