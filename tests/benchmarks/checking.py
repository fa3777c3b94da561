"""Whether two Parquet files hold the same rows, as far as sums, extremes and nulls tell: `checking.py OURS THEIRS`.

Prints a line a difference. Order does not count, nor do columns that only one of them has.
"""

from __future__ import annotations

import math
import sys

import duckdb

Figures = tuple[object, ...]


def figures(path: str, columns: list[str]) -> dict[str, Figures]:
    """By column: values that are there, the least, the greatest, the sum of numbers or of times in seconds."""
    parts = []
    for column in columns:
        parts += [f'count("{column}")', f'min("{column}")::VARCHAR', f'max("{column}")::VARCHAR', _sum(path, column)]
    found = duckdb.execute(f"SELECT {', '.join(parts)} FROM read_parquet('{path}')").fetchone() or ()
    return {column: tuple(found[4 * at : 4 * at + 4]) for at, column in enumerate(columns)}


def _sum(path: str, column: str) -> str:
    kind = _types(path)[column]
    if kind.startswith("TIMESTAMP"):
        return f'sum(epoch("{column}"))'
    return f'sum(length("{column}"))' if kind == "VARCHAR" else f'sum("{column}"::DOUBLE)'


def _types(path: str) -> dict[str, str]:
    described = duckdb.execute(f"DESCRIBE SELECT * FROM read_parquet('{path}')").fetchall()
    return {row[0]: row[1] for row in described}


def _equal(ours: Figures, theirs: Figures) -> bool:
    sums = ours[3], theirs[3]
    if isinstance(sums[0], float) and isinstance(sums[1], float):
        return ours[:1] == theirs[:1] and math.isclose(*sums, rel_tol=1e-9)
    return ours == theirs


def differences(ours: str, theirs: str) -> list[str]:
    """A sentence a difference."""
    rows = [duckdb.execute(f"SELECT count(*) FROM read_parquet('{path}')").fetchone() for path in (ours, theirs)]
    if rows[0] != rows[1]:
        return [f"{rows[1]} rows where we have {rows[0]}"]
    common = [name for name in _types(ours) if name in _types(theirs)]
    mine, other = figures(ours, common), figures(theirs, common)
    return [
        f"{name}: {other[name]} where we have {mine[name]}" for name in common if not _equal(mine[name], other[name])
    ]


if __name__ == "__main__":
    for line in differences(sys.argv[1], sys.argv[2]):
        print(line)
