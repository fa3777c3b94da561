"""UPLOAD: Parquet → object in the store.

Up to date while the store itself holds an object of this name with this mark and checksum.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from taxi_ingest import stores


def upload(
    parquet: Path,
    store: str,
    name: str,
    *,
    mark: str,
    facts: dict[str, str],
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Put `parquet` under `name` in the store at URL `store` and return what the far side holds then.

    `facts` (provenance) are kept beside the mark. Raises StoreError when the far side does not repeat our checksum,
    TransientError when another try may help.
    """
    held = stores.connect(store).put(parquet, name, mark=mark, facts=facts, progress=progress)
    return {"object": name, "mark": held.mark, "crc32c": held.crc32c, "bytes": held.size}
