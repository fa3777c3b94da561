"""A place that a URL names: a store, a warehouse or a source. And what is checked there before work."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from taxi_ingest.errors import UsageError
from taxi_ingest.redaction import is_well_formed, public_text, public_url, remember

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(//)?")
"""A single letter is no scheme but a drive of Windows."""
_WEB = {"http", "https"}

_SYNONYMS = {"postgres": "postgresql"}
"""Schemes that other programs take for the same."""


@dataclass(frozen=True)
class Place:
    """A place as its URL names it.

    `scheme` is "" for a plain path or name. `shown` is what messages, receipts, history and footers may hold: no
    user, password, `;parameters` or fragment, and of the query only what names the place. `url` is the text as it was
    given, secrets included; only the client that opens the place may see it. Places are equal when they are shown
    alike.
    """

    scheme: str
    shown: str
    url: str = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The place named by `text`: a URL, `scheme:PATH`, a path or a name.

        Raises UsageError, showing no more than a scheme, for what may be a malformed URL.
        """
        remember(text)
        match = _SCHEME.match(text)
        scheme, slashes = match.groups() if match else ("", None)
        if slashes and scheme.lower() in _SYNONYMS:
            return cls.parse(f"{_SYNONYMS[scheme.lower()]}{text[len(scheme) :]}")
        if slashes and is_well_formed(text):
            return cls(scheme.lower(), public_url(text), text)
        if slashes or public_text(text) != text:
            raise UsageError(_cannot_be_parsed(scheme if slashes or scheme.lower() in _WEB else ""))
        return cls(scheme.lower(), text, text)

    @property
    def path(self) -> str:
        """The path, for a place on this disk (`scheme:PATH` or a plain path); "" for one with a host."""
        if self.has_host:
            return ""
        return self.url.removeprefix(f"{self.url.partition(':')[0]}:") if self.scheme else self.url

    @property
    def has_host(self) -> bool:
        """Whether the place is named as `scheme://…`, and not by a path."""
        match = _SCHEME.match(self.url)
        return bool(match and match[2])

    def anchored(self, folder: Path) -> Place:
        """The same place with a relative path counted from `folder`; others as they are."""
        return self._at(folder / self.path) if self._has_path else self

    def resolved(self) -> Place:
        """The same place under its full path, links resolved, so that receipts agree wherever they are read."""
        return self._at(Path(self.path).resolve()) if self._has_path else self

    @property
    def _has_path(self) -> bool:
        return bool(self.path) and not self.path.startswith(":")  # as in duckdb::memory:

    def _at(self, path: Path) -> Place:
        return Place.parse(f"{self.scheme}:{path}" if self.scheme else str(path))

    def __str__(self) -> str:
        return self.shown

    def similar(self, schemes: Iterable[str]) -> str:
        """The one of `schemes` that this place's scheme looks like; "" if none does."""
        return next(iter(difflib.get_close_matches(self.scheme, list(schemes), n=1, cutoff=0.6)), "")


def _cannot_be_parsed(scheme: str) -> str:
    form = f"{scheme or 'SCHEME'}://HOST/PATH"
    return (
        f"This {f'{scheme}:// ' if scheme else ''}address cannot be parsed. Write it as {form}"
        f"{'' if scheme else ', or a folder as ./FOLDER'}; in a user name or password, write @ as %40, / as %2F, "
        ": as %3A and # as %23."
    )


@dataclass(frozen=True)
class Check:
    """One thing that was checked before work: whether it is in order, and a sentence (with the remedy if not)."""

    ok: bool
    sentence: str
