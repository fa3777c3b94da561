"""A publisher of made-up months, on loopback: real layout, real oddities, the same rows every time.

Each month is drawn from the recipes in `catalog/demo.toml` and the header of the catalog's CSV layout of that month.
"""

from __future__ import annotations

import functools
import gzip
import random
import re
import threading
import tomllib
from collections.abc import Callable
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from taxi_ingest.catalog import Part, Vintage
from taxi_ingest.catalog.months import first_day, last_day
from taxi_ingest.catalog.reading import dataset as dataset_named

_STRAY_YEARS = (2002, 2008, 2009)
_NAME = re.compile(
    r"/(?P<dataset>[a-z]+)_tripdata_(?P<month>[0-9]{4}-[0-9]{2})\.csv\.gz\?rows=(?P<rows>[0-9]+)&seed=(?P<seed>[0-9]+)"
)


@functools.cache
def recipes() -> dict[str, Any]:
    """Recipes by dataset."""
    return tomllib.loads((Path(__file__).parents[1] / "catalog" / "demo.toml").read_text(encoding="utf-8"))


def layout(part: Part) -> Vintage | None:
    """The CSV layout in which `part` can be made up; None when there is none or no recipe."""
    if part.dataset not in recipes():
        return None
    known = dataset_named(part.dataset)
    return next((v for v in known.vintages if v.format == "csv" and v.covers(part.month)), None)


def month_csv(part: Part, rows: int, seed: int) -> bytes:
    """The made-up month as CSV with CRLF line ends: a header and `rows` lines, the same for the same arguments."""
    vintage = layout(part)
    if vintage is None or part.month is None:
        raise ValueError(f"{part} cannot be made up")
    columns = _Month(part, part.month, rows, seed).columns(vintage.columns)
    lines = [",".join(vintage.columns), *map(",".join, zip(*columns, strict=True))]
    return "\r\n".join(lines).encode() + b"\r\n"


class _Month:
    """Draws one month, column by column."""

    def __init__(self, part: Part, month: str, rows: int, seed: int) -> None:
        self._recipe = recipes()[part.dataset]
        self._rows = rows
        self._random = random.Random(f"{part} {rows} {seed}")  # noqa: S311 - no secret
        self._month = month
        self._metered = rows - int(rows * self._recipe["without_meter"])
        refunds = self._random.sample(range(rows), int(rows * self._recipe["refunds"]))
        self._refunds = set(refunds)
        self._pickups = self._draw_pickups()

    def columns(self, names: tuple[str, ...]) -> list[list[str]]:
        """One list of texts a column, in the order of `names`."""
        drawn: dict[str, list[str]] = {}
        cents = [0] * self._rows
        for name in names:
            recipe = self._recipe["columns"].get(name, {})
            if "cents" in recipe:
                values = self._random.choices(range(*recipe["cents"]), k=self._rows)
                cents = [total + value for total, value in zip(cents, values, strict=True)]
                drawn[name] = self._money(values, recipe)
            elif recipe.get("total"):
                drawn[name] = self._money(cents, recipe)
            else:
                drawn[name] = self._plain(recipe)
            if recipe.get("meter"):
                drawn[name][self._metered :] = [""] * (self._rows - self._metered)
        return [drawn[name] for name in names]

    def _plain(self, recipe: dict[str, Any]) -> list[str]:
        if "one_of" in recipe:
            return self._random.choices(recipe["one_of"], recipe["odds"], k=self._rows)
        draw: dict[str, Callable[[], list[str]]] = {
            "pickup": lambda: [f"{at:%Y-%m-%d %H:%M:%S}" for at in self._pickups],
            "dropoff": self._dropoffs,
            "miles": lambda: [f"{hundredths / 100:.2f}" for hundredths in self._small_numbers(3000)],
            "zone": lambda: [str(1 + zone) for zone in self._small_numbers(263)],
        }
        return draw[recipe["is"]]() if "is" in recipe else [""] * self._rows

    def _small_numbers(self, below: int) -> list[int]:
        """Numbers from 0, small ones far likelier."""
        uniform = self._random.random
        return [int(below * uniform() ** 3) for _ in range(self._rows)]

    def _money(self, cents: list[int], recipe: dict[str, Any]) -> list[str]:
        texts = [f"{value / 100:g}" for value in cents]
        if recipe.get("refund"):
            for row in self._refunds:
                texts[row] = f"-{texts[row]}"
        return texts

    def _draw_pickups(self) -> list[datetime]:
        start = datetime.combine(first_day(self._month), datetime.min.time())
        seconds = last_day(self._month).day * 86_400
        step = seconds / max(self._rows, 1)
        jitter = self._random.choices(range(-1800, 1800), k=self._rows)
        pickups = [
            start + timedelta(seconds=min(max(int(row * step) + jitter[row], 0), seconds - 1))
            for row in range(self._rows)
        ]
        for row in self._random.sample(range(self._rows), min(self._recipe["strays"], self._rows)):
            pickups[row] = pickups[row].replace(year=self._random.choice(_STRAY_YEARS), day=1)
        return pickups

    def _dropoffs(self) -> list[str]:
        rides = self._random.choices(range(60, 3600), k=self._rows)
        return [
            f"{at + timedelta(seconds=ride):%Y-%m-%d %H:%M:%S}" for at, ride in zip(self._pickups, rides, strict=True)
        ]


class DemoServer:
    """Publishes made-up months as `.csv.gz` on a free loopback port until closed."""

    def __init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def url(self, part: Part, rows: int, seed: int) -> str:
        """Where `part` is published with so many rows, drawn from that seed."""
        port = self._server.server_address[1]
        return f"http://127.0.0.1:{port}/{part.dataset}_tripdata_{part.month}.csv.gz?rows={rows}&seed={seed}"

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Keep the terminal for the report: whoever asked tells what went wrong."""


class _Handler(BaseHTTPRequestHandler):
    """Answers GET for the months that can be made up, 404 for anything else."""

    def do_GET(self) -> None:
        """Answer one request."""
        name = _NAME.fullmatch(self.path)
        part = Part(name["dataset"], name["month"]) if name else None
        if name is None or part is None or layout(part) is None:
            self.send_error(404)
            return
        body = gzip.compress(month_csv(part, int(name["rows"]), int(name["seed"])), compresslevel=1, mtime=0)
        self.send_response(200)
        self.send_header("Content-Type", "application/gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
        """Keep the terminal for the report."""
