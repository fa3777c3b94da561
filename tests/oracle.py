"""A second reading of TLC's CSV files, slow and plain, to check the product's by.

Written from what TLC publishes (header names, codes, quirks of each year) with the standard library alone; it shares
no line and no table with the package. One line at a time, one cell at a time.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

# Header names that are not the modern ones but for case, by dataset.
OLD_NAMES = {
    "yellow": {
        # 2009
        "vendor_name": "VendorID",
        "trip_pickup_datetime": "tpep_pickup_datetime",
        "trip_dropoff_datetime": "tpep_dropoff_datetime",
        "start_lon": "pickup_longitude",
        "start_lat": "pickup_latitude",
        "end_lon": "dropoff_longitude",
        "end_lat": "dropoff_latitude",
        "store_and_forward": "store_and_fwd_flag",
        "fare_amt": "fare_amount",
        "tip_amt": "tip_amount",
        "tolls_amt": "tolls_amount",
        "total_amt": "total_amount",
        # 2009 to 2014
        "rate_code": "RatecodeID",
        "surcharge": "extra",
        # 2010 to 2014
        "vendor_id": "VendorID",
        "pickup_datetime": "tpep_pickup_datetime",
        "dropoff_datetime": "tpep_dropoff_datetime",
    },
    "fhv": {
        "pickup_date": "pickup_datetime",  # 2015, 2016
        "locationid": "PUlocationID",
        "dispatching_base_number": "dispatching_base_num",  # 2018
    },
}

VENDORS = {"cmt": 1, "vts": 2, "dds": 3}
PAYMENTS = {
    **dict.fromkeys(["cre", "crd", "credit"], 1),
    **dict.fromkeys(["cas", "csh", "cash"], 2),
    **dict.fromkeys(["no", "noc", "no charge"], 3),
    **dict.fromkeys(["dis", "dispute"], 4),
    **dict.fromkeys(["unk", "na"], 5),
}
FLAGS = {"y": "Y", "true": "Y", "false": "N", "1": "Y", "1.0": "Y", "n": "N", "0": "N", "0.0": "N", "*": None}
BLANKS = " \t\v\f\r\n"


@dataclass
class Reading:
    """What a file holds: good rows in order, bad lines by line number, unknown codes.

    A bad line is given by the names of its bad columns, by {"fields"} when it has the wrong number of fields, or by
    {"line"} when it is no line of CSV at all (an open quote, a CR in its middle, bytes that are no UTF-8) or has values
    only where none is loaded. `empty` lines have no value at all.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    bad: dict[int, set[str]] = field(default_factory=dict)
    unknown: Counter[tuple[str, str]] = field(default_factory=Counter)
    empty: int = 0


def read_csv(path: Path, dataset: str, columns: Mapping[str, str]) -> Reading:
    """Read a published CSV; `columns` are the canonical names and types (int64, double, string, timestamp)."""
    data = path.read_bytes()
    if data.startswith(b"\x1f\x8b"):
        data = gzip.decompress(data)
    data = data.removeprefix(b"\xef\xbb\xbf")
    lines = [
        (number, line.removesuffix(b"\r")) for number, line in enumerate(data.split(b"\n"), 1) if line.strip(b"\r")
    ]
    header, *body = lines
    targets = _targets([name.strip() for name in _fields(header[1])], dataset, columns)
    reading = Reading()
    for number, line in body:
        try:
            fields = _fields(line)
        except (csv.Error, UnicodeDecodeError):
            reading.bad[number] = {"line"}
        else:
            _add(reading, number, fields, targets, columns)
    return reading


def _fields(line: bytes) -> list[str]:
    reader = csv.reader([line.decode(), ""])
    fields = next(reader)
    if reader.line_num == 2:  # it went on to the next line in search of the closing quote
        raise csv.Error("open quote")
    return fields


def _targets(header: list[str], dataset: str, columns: Mapping[str, str]) -> list[str | None]:
    """The canonical column of each published one."""
    modern = {name.lower(): name for name in columns}
    old = OLD_NAMES.get(dataset, {})
    targets = [old.get(name.lower()) or modern.get(name.lower()) for name in header]
    if "Dispatching_base_number" in header:  # 2018: the other one, of nearly the same name, is always empty
        targets[header.index("Dispatching_base_num")] = None
    return targets


def _add(
    reading: Reading, number: int, fields: list[str], targets: list[str | None], columns: Mapping[str, str]
) -> None:
    surplus = fields[len(targets) :]
    if len(fields) < len(targets) or len(surplus) > 2 or any(text.strip(BLANKS) for text in surplus):
        reading.bad[number] = {"fields"}
        return
    row: dict[str, Any] = dict.fromkeys(columns)
    unknown: list[tuple[str, str]] = []
    for text, name in zip(fields, targets, strict=False):
        cell = text.strip(BLANKS)
        if name is None or not cell:
            continue
        try:
            row[name] = _value(cell, name, columns[name])
        except KeyError:
            unknown.append((name, cell))
        except ValueError:
            reading.bad.setdefault(number, set()).add(name)
    if number in reading.bad:
        return
    if any(value is not None for value in row.values()):
        reading.rows.append(row)
        reading.unknown.update(unknown)
    elif any(text.strip(BLANKS) for text in fields):
        reading.bad[number] = {"line"}
    else:
        reading.empty += 1


def _value(cell: str, name: str, kind: str) -> Any:
    """The value of a cell; KeyError for an unknown code, ValueError for what means nothing."""
    if name == "store_and_fwd_flag":
        return FLAGS[cell.casefold()]
    if kind == "string":
        return cell
    if kind == "timestamp":
        return _time(cell)
    if kind == "double":
        return _number(cell)
    if name in {"VendorID", "payment_type"} and not re.fullmatch(r"-?\d+(\.0*)?", cell):
        return (VENDORS if name == "VendorID" else PAYMENTS)[cell.casefold()]
    return _whole(cell)


def _time(cell: str) -> datetime:
    date, _, fraction = cell.partition(".")
    return datetime.strptime(date, "%Y-%m-%d %H:%M:%S").replace(microsecond=int(fraction.ljust(6, "0")))


def _number(cell: str) -> float:
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", cell):
        raise ValueError(cell)
    return float(cell)


def _whole(cell: str) -> int:
    if not re.fullmatch(r"-?\d+(\.\d*)?", cell) or Decimal(cell) % 1:
        raise ValueError(cell)
    return int(Decimal(cell))
