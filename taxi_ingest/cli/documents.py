"""The documents of --json."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taxi_ingest.catalog import Part


def part_fields(part: Part | None) -> dict[str, str | None]:
    """The fields by which a document names a part; null for what is about none."""
    return {"dataset": part.dataset if part else None, "month": part.month if part else None}


def print_json(document: Mapping[str, object], *, on_one_line: bool = False) -> None:
    """Write a document to stdout."""
    sys.stdout.write(json.dumps(document, indent=None if on_one_line else 2) + "\n")
