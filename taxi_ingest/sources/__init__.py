"""Where a part's published file is: named sources, URL templates, and the built-in publisher of made-up months.

A source has an identity that is recorded with a part (`csv`, a template without its secrets, `demo:…`) and, when a
file is wanted, a URL. The demo's URL is on a free loopback port, which is recorded nowhere.

`newest` finds the newest month there is, `demo` is the publisher of made-up months. What comes over the network comes
through `http`, which follows redirects:

* `connection` sends one request, `addresses` judges where to, `patience` bounds how long it may take, `faults` says
  what a failure means, and `headers` reads what the publisher says.
* `versions` asks whether a file is still the one we hold, `refusals` says what it means that none is sent.
* `partial` is the beginning of a file that was cut, `bounds` how large a file may become, `coding` undoes
  Content-Encoding.
"""

from __future__ import annotations

import difflib
import os
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from taxi_ingest.catalog import Part
from taxi_ingest.catalog.reading import auto_source, sources
from taxi_ingest.errors import SourceError, UsageError
from taxi_ingest.place import Place
from taxi_ingest.values import quoted

if TYPE_CHECKING:
    from taxi_ingest.sources.demo import DemoServer

AUTO = "auto"
DEMO = "demo"

_PATH = re.compile(r"[/{]|\.(csv|parquet)")
_PLACEHOLDER = re.compile(r"\{dataset\}|\{month\}")
_DRIVE = re.compile(r"/[A-Za-z]:")
_EXAMPLE = "https://host/{dataset}_tripdata_{month}.csv.gz"
_DEMO_IDENTITY = re.compile(r"demo:(?P<part>[a-z]+/[0-9-]+)\?rows=(?P<rows>[0-9]{1,7})&seed=(?P<seed>[0-9]{1,9})")
_NAME_ANOTHER = "Name another with --source, or add --force."


@dataclass(frozen=True)
class MadeUp:
    """How the demo makes up a month: how many rows, drawn from which seed."""

    rows: int
    seed: int


def identity(source: Place, part: Part, demo: MadeUp) -> str:
    """What is recorded as the source of `part` when `source` is the one in force; `demo` counts for the demo only."""
    name = str(source)
    if part.month is None and not _names_one_file(source):
        return auto_source(part)
    if name == DEMO:
        return f"{DEMO}:{part.dataset}/{part.month}?rows={demo.rows}&seed={demo.seed}"
    return auto_source(part) if name == AUTO else name


class Publisher:
    """Gives the URLs of published files; the demo's are served by it until it is closed."""

    def __init__(self, source: Place) -> None:
        self._source = source
        self._server: DemoServer | None = None
        self._starting = threading.Lock()

    def url(self, part: Part, identity: str) -> str:
        """Where the file of `part` is fetched when its source has this identity. It may hold secrets.

        Raises SourceError for an identity that no source has, as a receipt that somebody changed may hold it.
        """
        if is_demo(identity):
            return self._demo_url(part, identity)
        if is_named(identity):
            return sources()[identity].url_of(part)
        # the identity lacks what may not be recorded; the setting, if it is the same source, has it
        template = self._source.url if str(self._source) == identity else identity
        try:
            return url_from(Place.parse(template), part)
        except UsageError as error:
            raise SourceError(f"The source recorded for {part} cannot be used. {error} {_NAME_ANOTHER}") from error

    def close(self) -> None:
        """Stop the demo's server, if it was started."""
        if self._server is not None:
            self._server.close()

    def _demo_url(self, part: Part, identity: str) -> str:
        from taxi_ingest.sources.demo import DemoServer

        recorded = _DEMO_IDENTITY.fullmatch(identity)
        if recorded is None or recorded["part"] != f"{part.dataset}/{part.month}":
            raise SourceError(f"The source recorded for {part} is no month of the demo: {identity}. {_NAME_ANOTHER}")
        with self._starting:
            if self._server is None:
                self._server = DemoServer()
        return self._server.url(part, int(recorded["rows"]), int(recorded["seed"]))


def is_demo(identity: str) -> bool:
    """Whether this is the identity of a made-up month."""
    return identity.startswith(f"{DEMO}:")


def is_named(source: str) -> bool:
    """Whether `source` is the name of a source in the catalog."""
    return source in sources()


def local_path(url: str) -> Path | None:
    """The file on this disk that `url` names; None when it names none."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        return None
    path = unquote(parts.path)
    return Path(path[1:] if _DRIVE.match(path) and os.name == "nt" else path)


def check_source(source: Place, parts: Sequence[Part]) -> None:
    """Raise UsageError unless `source` can publish every one of `parts` under a name of its own."""
    if str(source) in {AUTO, DEMO} or is_named(str(source)):
        return
    _check_template(source)
    if any(part.month for part in parts) or not _names_one_file(source):
        parts = [part for part in parts if part.month is not None]
    urls = {_filled(source.url, part.dataset, part.month or "") for part in parts}
    if len(urls) < len(parts):
        raise UsageError(
            f"The template '{source}' names one file for several parts. Put {{month}} or {{dataset}} into it."
        )


def url_from(source: Place, part: Part) -> str:
    """The URL of the file of `part` when `source` is a template.

    Raises UsageError for one that is no URL, holds other placeholders than {dataset} and {month}, or names no host.
    """
    _check_template(source)
    if part.month is None and not _names_one_file(source):
        raise UsageError(f"{part} has no month, but the template '{source}' asks for one.")
    return _filled(source.url, part.dataset, part.month or "")


def _filled(template: str, dataset: str, month: str) -> str:
    values = {"{dataset}": dataset, "{month}": month}
    return _PLACEHOLDER.sub(lambda found: values[found[0]], template)


def _check_template(source: Place) -> None:
    if source.scheme not in {"http", "https", "file"}:
        names = [AUTO, *sources(), DEMO]
        raise UsageError(
            f"{quoted(str(source))} is not a source.{_guess(source, names)} Possible: {', '.join(names)}, or a URL "
            f"template such as {_EXAMPLE} (http, https or file)."
        )
    if re.search("[{}]", _filled(source.url, "", "")):
        raise UsageError(f"The template '{source}' may hold {{dataset}} and {{month}} only.")
    if source.scheme != "file" and not _is_host(urlsplit(_filled(source.url, "dataset", "2021-01")).hostname):
        raise UsageError(f"The template '{source}' has an impossible host name. Write it as {_EXAMPLE}.")


def _guess(source: Place, names: Sequence[str]) -> str:
    """What was meant, where that is clear: the file of a path, or a name that is nearly the same."""
    if source.path and _PATH.search(source.path):
        return f" Did you mean file://{Path(source.path).absolute()}?"
    near = difflib.get_close_matches(str(source).lower(), names, n=1, cutoff=0.6)
    return f" Did you mean {near[0]}?" if near else ""


def _is_host(name: str | None) -> bool:
    """Whether `name` can be the name of a host: no label is empty or longer than 63 letters."""
    try:
        encoded = name if name is None or name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        return False
    return encoded is not None and all(0 < len(label) < 64 for label in encoded.removesuffix(".").split("."))


def _names_one_file(source: Place) -> bool:
    """Whether `source` is the URL of a single file: what a dataset without months can be taken from."""
    return source.has_host and "{month}" not in source.url


def portable(url: str) -> str:
    """A URL, or a template of one, as objects and tables tell it: the same on every machine.

    The port that a server got is left out, and so are the folders of a file on this disk: they are nobody else's
    business.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        return f"file:{parts.path.rpartition('/')[2]}"
    return urlunsplit(parts._replace(netloc=parts.hostname or ""))
