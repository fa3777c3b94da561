"""Bad inputs without end: each either gets the answer that is right or a TaxiError, never anything else.

The inputs of one seed are always the same. The shortest input for each sentence that was said is kept in a corpus,
and so is each one that failed; a campaign begins with the corpora that are there.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from targets import TARGETS, Target, as_new, mutated

from taxi_ingest.errors import TaxiError

CORPUS = Path(__file__).parent / "corpus"
"""Inputs kept with the tests: <target>/<digest>, a file each."""

SHARES = {
    "months": 0.25, "places": 0.2, "receipts": 0.2, "config": 0.12, "lines": 0.12, "csv": 0.06, "parquet": 0.05,
}  # fmt: skip
"""How the inputs of a campaign are shared out: the longer one takes, the fewer there are."""

_AT_ONCE = 500
"""Inputs that one process tries before it answers."""

_FROM_THE_CORPUS = {"months", "config"}
"""Targets that also get inputs of the corpus with a few bytes changed, as nothing is known of what they mean."""


@dataclass
class Tried:
    """What came of the inputs of one target; `said` has, by what was said, the shortest input that led to it."""

    inputs: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)
    said: dict[str, bytes] = field(default_factory=dict)

    def add(self, other: Tried) -> None:
        """Add what came of other inputs."""
        self.inputs += other.inputs
        self.refused += other.refused
        self.failures += other.failures
        for sentence, content in other.said.items():
            self.keep(sentence, content)

    def keep(self, sentence: str, content: bytes) -> None:
        """Keep an input, if there is no shorter one that led to the same sentence."""
        kept = self.said.get(sentence)
        if kept is None or (len(content), content) < (len(kept), kept):
            self.said[sentence] = content


def campaign(
    folder: Path, inputs: int, seed: int, processes: int | None = None, corpora: Sequence[Path] = (CORPUS,)
) -> dict[str, Tried]:
    """Try about `inputs` inputs, shared out by SHARES, after those of the corpora; failures go to files in `folder`.

    Each target has `processes` processes of its own, by default as many as there are processors.
    """
    totals = {}
    for name, share in SHARES.items():
        wanted = max(1, round(inputs * share))
        kept = sorted({path.read_bytes() for corpus in corpora for path in (corpus / name).glob("*")})
        totals[name] = Tried()
        with ProcessPoolExecutor(processes or os.cpu_count(), initializer=_begin, initargs=(folder, name)) as pool:
            first = pool.submit(_try, kept)
            for tried in pool.map(_try_made, _jobs(name, wanted, seed)):
                totals[name].add(tried)
            totals[name].add(first.result())
    return totals


@dataclass(frozen=True)
class _Job:
    """The inputs `first` and so on of a target."""

    name: str
    first: int
    count: int
    seed: int


def _jobs(name: str, wanted: int, seed: int) -> Iterator[_Job]:
    for first in range(0, wanted, _AT_ONCE):
        yield _Job(name, first, min(_AT_ONCE, wanted - first), seed)


_target: Target
_corpus: list[bytes]


def _begin(folder: Path, name: str) -> None:
    """Make this process ready for one target."""
    global _target, _corpus  # noqa: PLW0603 - a process of the pool has one target all its life
    os.chdir(folder)
    _target = TARGETS[name]()
    own = sorted((CORPUS / name).glob("*")) if name in _FROM_THE_CORPUS else []
    _corpus = [path.read_bytes() for path in own]


def _try_made(job: _Job) -> Tried:
    return _try([_made(job, number) for number in range(job.first, job.first + job.count)])


def _made(job: _Job, number: int) -> bytes:
    chance = random.Random(f"{job.seed}-{job.name}-{number}")
    if _corpus and number % 4 == 0:
        return mutated(chance.choice(_corpus), chance)
    return _target.make(chance)


def _try(contents: Sequence[bytes]) -> Tried:
    tried = Tried()
    for content in contents:
        as_new()
        tried.inputs += 1
        try:
            failure = _target.wrong(content)
        except TaxiError as refusal:
            tried.refused += 1
            tried.keep(_in_general(refusal), content)
            continue
        except Exception as error:  # noqa: BLE001 - any other error is what the campaign looks for
            failure = f"{type(error).__name__}: {error}"
        if failure:
            path = Path(f"failed-{type(_target).__name__}-{digest(content)}")
            path.write_bytes(content)
            tried.failures.append(f"{path.name}: {failure[:300]}")
    return tried


def digest(content: bytes) -> str:
    """The name of an input in a corpus."""
    return hashlib.sha256(content).hexdigest()[:16]


def _in_general(refusal: TaxiError) -> str:
    """What was said, without the names, numbers and quotations that stand in it."""
    words = re.sub(
        r"'[^']*'|\"[^\"]*\"|\(.*?\)|0x[0-9a-f]+|\S*[/\\._]\S*|\d[\d,.]*", "…", str(refusal), flags=re.DOTALL
    )
    return " ".join(words.split())[:60]


def keep(totals: dict[str, Tried], corpus: Path) -> None:
    """Leave the inputs that a campaign would keep in a corpus."""
    for name, tried in totals.items():
        (corpus / name).mkdir(parents=True, exist_ok=True)
        for content in tried.said.values():
            (corpus / name / digest(content)).write_bytes(content)


def shown(totals: dict[str, Tried]) -> Sequence[str]:
    """A line a target."""
    return [
        f"{name}: {one.inputs:,} inputs, {one.refused:,} refused in {len(one.said)} ways, {len(one.failures)} failures"
        for name, one in totals.items()
    ]
