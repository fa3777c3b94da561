"""What every candidate does first: fetch the months, as curl would."""

from __future__ import annotations

import shutil
import urllib.request
from pathlib import Path


def fetched(template: str, dataset: str, month: str) -> Path:
    """The published file of a month, fetched into the current folder."""
    url = template.format(dataset=dataset, month=month)
    path = Path(url.rpartition("/")[2])
    with urllib.request.urlopen(url) as answer, path.open("wb") as file:
        shutil.copyfileobj(answer, file, 1 << 17)
    return path
