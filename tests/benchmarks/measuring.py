"""One process from start to end: wall, processor and peak memory, as the system counted them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SAMPLE_SECONDS = 0.05
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Candidate:
    """A command to measure; `output` is the file it writes, None when it writes none.

    `database` is the address of a database of its own, which is emptied before each run, if that is where it writes.
    `environment` is added to ours. `fresh`: its folder is emptied before each run, and what is left there afterwards
    is what it keeps. `once`: it takes so long that it runs a single time. `other_rows`: its output is not to be
    compared.
    """

    name: str
    command: tuple[str, ...]
    folder: Path
    output: Path | None = None
    environment: tuple[tuple[str, str], ...] = ()
    fresh: bool = False
    once: bool = False
    other_rows: bool = False
    database: str = ""


@dataclass(frozen=True)
class Run:
    """What one run took: seconds on the wall, seconds of all processors, peak resident bytes, bytes of its output.

    Seconds of processors are those of the process and all it started. `peak` is the greatest of what the system noted
    for any one of these processes and of the sums over all of them, sampled (a shared page counts for each of them).
    `kept` are the bytes in the candidate's folder afterwards, a file with two names counting once.
    """

    wall: float
    cpu: float
    peak: int
    size: int
    kept: int


class BrokenCandidateError(Exception):
    """A candidate ended with another exit code than 0, so that its time says nothing."""


def compare(candidates: list[Candidate], rounds: int) -> dict[Candidate, list[Run]]:
    """Run every candidate once unmeasured, and then once a round, in turn; one that runs once, in the first round."""
    for candidate in candidates:
        if not candidate.once:
            measure(candidate)
    runs: dict[Candidate, list[Run]] = {candidate: [] for candidate in candidates}
    for number in range(rounds):
        for candidate in candidates:
            if number == 0 or not candidate.once:
                runs[candidate].append(measure(candidate))
    return runs


def measure(candidate: Candidate) -> Run:
    """Run one candidate to its end. Raises BrokenCandidateError."""
    _clear(candidate)
    environment = {**os.environ, **dict(candidate.environment)}
    begun = time.perf_counter()
    child = subprocess.Popen(candidate.command, cwd=candidate.folder, env=environment, stdout=subprocess.DEVNULL)
    with _sampled(child.pid) as samples:
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - begun
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise BrokenCandidateError(f"{candidate.name} ended with {child.returncode}: {' '.join(candidate.command)}")
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Run(
        wall=wall,
        cpu=used.ru_utime + used.ru_stime,
        peak=max(peak, *samples),
        size=_size(candidate),
        kept=_bytes_in(candidate.folder) if candidate.fresh else 0,
    )


def _clear(candidate: Candidate) -> None:
    if candidate.output is not None:
        candidate.output.unlink(missing_ok=True)
    if candidate.database:
        _in_database(candidate, "empty")
    if candidate.fresh:
        shutil.rmtree(candidate.folder, ignore_errors=True)
        candidate.folder.mkdir(parents=True)


def _size(candidate: Candidate) -> int:
    if candidate.database:
        return int(_in_database(candidate, "size"))
    return candidate.output.stat().st_size if candidate.output else 0


def _in_database(candidate: Candidate, verb: str) -> str:
    command = (sys.executable, str(Path(__file__).with_name("postgres.py")), verb, candidate.database)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _bytes_in(folder: Path) -> int:
    stats = [path.lstat() for path in folder.rglob("*") if path.is_file()]
    return sum({stat.st_ino: stat.st_size for stat in stats}.values())


# ---- memory of a process and those it started


@contextlib.contextmanager
def _sampled(root: int) -> Iterator[list[int]]:
    """A list that fills with the resident bytes of `root` and its descendants; [0] on systems without /proc."""
    samples, ended = [0], threading.Event()

    def sample() -> None:
        while not ended.wait(_SAMPLE_SECONDS):
            samples.append(sum(map(_resident, _family(root))))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def _family(root: int) -> list[int]:
    family = [root]
    for parent in family:  # grows while it is walked
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):  # it ended meanwhile
                family += map(int, children.read_text().split())
    return family


def _resident(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):  # it ended meanwhile
        return 0
