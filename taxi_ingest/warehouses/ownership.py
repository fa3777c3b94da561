"""Whose table it is: one of our name that we did not make, or with other columns, is refused before it is touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from taxi_ingest.catalog import FILE_MONTH
from taxi_ingest.errors import WarehouseError


@dataclass(frozen=True)
class Found:
    """A table of our name as it was found.

    `where` begins the sentence, as in "FILE has a table NAME". `types` are those of its columns, by folded name.
    `is_plain` is False for a view and the like. `is_known` tells whether we have loaded into a table of this name,
    `is_signed` whether this very one bears the comment or label that we give to tables. `remedy` says what its owner
    can do.
    """

    where: str
    types: Mapping[str, str]
    is_plain: bool
    is_known: bool
    is_signed: bool
    remedy: str


def refuse_foreign(found: Found, wanted: Mapping[str, str]) -> None:
    """Raise WarehouseError unless the table is ours and its columns have the types in `wanted` (name → type).

    Columns may stand in any order and its owner may have added some. Columns may be missing, because the catalog may
    have gained them since, from a table that is signed or has most of them (copies of a database lose its comments);
    but not `file_month`, because months are replaced by it.
    """
    differences = [
        f"{name} is {found.types[name.lower()]} instead of {kind}"
        for name, kind in wanted.items()
        if found.types.get(name.lower(), kind) != kind
    ]
    missing = [name for name in wanted if name.lower() not in found.types]
    has_most = len(missing) * 2 < len(wanted)
    if missing and (FILE_MONTH in missing or not (found.is_signed or has_most)):
        differences.append(f"it has no {', '.join(missing)}")
    is_ours = found.is_plain and found.is_known
    if is_ours and not differences:
        return
    reason = "that is not as it was made" if is_ours else "that taxi-ingest did not make"
    detail = f" ({', '.join(differences)})" if differences else ""
    raise WarehouseError(f"{found.where} {reason}{detail}. It was left as it is. {found.remedy}")
