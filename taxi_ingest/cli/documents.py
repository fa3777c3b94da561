"""The documents of --json."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping


def print_json(document: Mapping[str, object], *, on_one_line: bool = False) -> None:
    """Write a document to stdout."""
    sys.stdout.write(json.dumps(document, indent=None if on_one_line else 2) + "\n")
