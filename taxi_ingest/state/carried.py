"""What an object in a store tells of the file it was made from.

Its facts hold the receipts of download and conversion, so a machine that has none of its own takes them from there,
and need not fetch a file to know which rows are in the store.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar
from urllib.parse import quote, unquote

import msgspec

from taxi_ingest.catalog import Part
from taxi_ingest.graph import Step
from taxi_ingest.layout import Layout
from taxi_ingest.sources import local_path, portable
from taxi_ingest.state.receipts import Downloaded, Parquetized, PartReceipts, Receipt, from_json, to_json
from taxi_ingest.stores import Held

_FOR_PEOPLE = ("source", "raw_sha256", "raw_bytes", "vintage", "rows", "rejects")
_LONGEST = 3000
"""Characters of one receipt. Google keeps 8 KiB of facts an object; a receipt of published files takes 1,000."""

_PLAIN = string.printable.replace("%", "")

_Kind = TypeVar("_Kind", bound=Receipt)


def facts_of(parquetized: Parquetized, downloaded: Downloaded | None) -> dict[str, str]:
    """What is kept beside the mark of an object; a receipt that is too long is left out."""
    facts = {name: str(getattr(parquetized, name)) for name in _FOR_PEOPLE}
    if downloaded is None:
        return facts
    receipts: dict[str, Receipt] = {"download": _without_this_disk(downloaded), "parquetize": _in_store(parquetized)}
    texts = {step: _text(receipt) for step, receipt in receipts.items()}
    return facts | {step: text for step, text in texts.items() if len(text) <= _LONGEST}


def _text(receipt: Receipt) -> str:
    """A receipt with its checksum, as ASCII on one line: facts travel in HTTP headers, too."""
    return quote(msgspec.json.format(to_json(receipt), indent=-1), safe=_PLAIN)


def carried(part: Part, held: Held, layout: Layout) -> PartReceipts:
    """The receipts of download and conversion that the object of `part` carries, as far as they agree with it."""
    download = _decoded("download", held.facts, Downloaded)
    parquetize = _decoded("parquetize", held.facts, Parquetized)
    if download is None or not layout.is_raw_of(part, download.file):
        return PartReceipts()
    if parquetize is not None and (parquetize.mark, parquetize.crc32c) != (held.mark, held.crc32c):
        parquetize = None
    return PartReceipts(download=download, parquetize=parquetize)


def _decoded(step: Step, facts: Mapping[str, str], kind: type[_Kind]) -> _Kind | None:
    try:
        text = msgspec.json.format(unquote(facts.get(step, "")), indent=1)
    except (ValueError, RecursionError, msgspec.MsgspecError):  # somebody else's, or damaged
        return None
    found = from_json(step, f"{text}\n")
    return found if isinstance(found, kind) else None


def _without_this_disk(downloaded: Downloaded) -> Downloaded:
    """The same, without what is only true of the file on this disk."""
    source, url = downloaded.source, downloaded.url
    if local_path(url) is not None:
        source, url = portable(source), portable(url)
    return replace(
        downloaded,
        source=source,
        url=url,
        mtime_ns=0,
        earlier_copies=(),
        refused=False,
        temporary=False,
        distrusted=False,
    )


def _in_store(parquetized: Parquetized) -> Parquetized:
    """The same, of a file that lies in the store and not on this disk: as if it had been pruned."""
    return replace(parquetized, mtime_ns=0, temporary=False, pruned=True, distrusted=False)
