"""JSON of another shape than an API answers: what a proxy, or a server that is broken, may send with a 200."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

WORDS = (None, 5, "x", [5], {"x": 5})


def misshapen(document: Any) -> Iterator[Any]:
    """`document` with another kind of value in its place, and in the place of each value in it, to a depth of four."""
    for place in _places(document, 4):
        for word in WORDS:
            yield _put(document, place, word)


def _places(document: Any, depth: int) -> Iterator[tuple[Any, ...]]:
    yield ()
    if depth and isinstance(document, dict | list):
        keys = list(document) if isinstance(document, dict) else range(min(1, len(document)))
        for key in keys:
            yield from ((key, *place) for place in _places(document[key], depth - 1))


def _put(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    changed = copy.copy(document)
    changed[place[0]] = _put(document[place[0]], place[1:], value)
    return changed
