"""What this machine does to a run: no room, no permission, no memory, a damaged or locked history. Never exit 3."""

from __future__ import annotations

import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from conftest import MONTH, Command, Loaded, Publisher, Ran, answer, process
from dates import clock

from taxi_ingest.history.schema import SCHEMA_VERSION

STEPS = ("download", "parquetize", "upload", "load")
RUN = ["run", "--source", "demo", "--month", "2021-01", "--data-dir", "data"]
FEW_ROWS = {"TAXI_INGEST_DEMO__ROWS": "100"}


def no_bug(ran: Ran) -> bool:
    return "bug" not in ran.err + ran.out and "Traceback" not in ran.err + ran.out


def as_root(*commands: str, cwd: Path) -> Ran:
    """Commands in a mount namespace of their own; skips where this user may not make one."""
    if process(["unshare", "-m", "true"], cwd).code:
        pytest.skip("needs the right to mount")
    return process(["unshare", "-m", "sh", "-ec", "\n".join(commands)], cwd, FEW_ROWS)


TAXI = f"{sys.executable} -m taxi_ingest"


# ---- the history: damaged, locked, without room


def damage(database: Path, how: str) -> None:
    """Spoil the database as a crash or a bad disk does."""
    content = bytearray(database.read_bytes())
    page = int.from_bytes(content[16:18], "big")
    if how == "header":
        content[:16] = b"no database at a"
    elif how == "cut":
        del content[1000:]
    elif how == "half":
        del content[2 * page :]
    elif how == "text":
        content[:] = b"somebody wrote here\n" * 100
    elif how == "no tables":
        database.unlink()
        with sqlite3.connect(database) as db:
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        return
    else:  # every page but the first
        for start in range(page, len(content), page):
            content[start : start + page] = os.urandom(page)
    database.write_bytes(content)


DAMAGES = ("header", "cut", "half", "text", "no tables", "pages")


@pytest.mark.parametrize("how", DAMAGES)
def test_a_run_puts_a_damaged_history_aside_and_goes_on(loaded: Loaded, how: str) -> None:
    state = loaded.data / "state"
    damage(state / "history.sqlite", how)
    spoiled = (state / "history.sqlite").read_bytes()
    ran = loaded.run()
    assert (ran.code, no_bug(ran)) == (0, True), ran.err
    assert set(ran.steps[0].values()) == {"up_to_date"}
    (aside,) = state.glob("history.sqlite.damaged-*")
    assert len(aside.read_bytes()) == len(spoiled)
    assert how == "no tables" or aside.read_bytes() == spoiled  # to open that one changes its header
    assert ran.err.count(aside.name) == 1
    assert [run["run"] for run in loaded.look("history")["runs"]] == [ran.document["run"]]
    again = loaded.run()
    assert (again.code, "was put aside" in again.err, len(loaded.look("history")["runs"])) == (0, False, 2)


def test_damage_that_shows_late_loses_the_old_history_only(loaded: Loaded) -> None:
    database = loaded.data / "state" / "history.sqlite"
    with sqlite3.connect(database) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'outcomes'").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    content = bytearray(database.read_bytes())
    content[(root - 1) * size : root * size] = os.urandom(size)
    database.write_bytes(content)
    ran = loaded.run("--force")  # only the end of a run writes outcomes
    assert (ran.code, no_bug(ran), "was put aside" in ran.err) == (0, True, True), ran.err
    (run,) = loaded.look("history")["runs"]
    assert (run["run"], run["outcomes"]) == (ran.document["run"], {"done": 4})


def test_a_log_that_is_no_text_is_shown_all_the_same(loaded: Loaded, taxi: Command) -> None:
    (log,) = (loaded.data / "logs" / loaded.first.document["run"]).glob("*-load-1.log")
    log.write_bytes(b"half a letter: \xc3")
    ran = taxi("logs", "load")
    assert (ran.code, "half a letter" in ran.out) == (0, True), ran.err


def test_an_edited_start_of_a_run_stops_no_run(loaded: Loaded) -> None:
    with sqlite3.connect(loaded.data / "state" / "history.sqlite") as db:
        db.execute("UPDATE runs SET started = 'zzz'")
    assert loaded.run().code == 0


@pytest.mark.parametrize("how", DAMAGES)
def test_looking_at_a_damaged_history_says_what_will_mend_it(loaded: Loaded, taxi: Command, how: str) -> None:
    damage(loaded.data / "state" / "history.sqlite", how)
    for verb in ("history", "logs"):
        ran = taxi(verb)
        assert (ran.code, no_bug(ran), len(ran.err.splitlines())) == (1, True, 1), ran.err
        assert "The next run puts it aside" in ran.err
    ran = taxi("status", "--json")
    assert (ran.code, "is damaged" in ran.err) == (0, True), ran.err
    (part,) = ran.document["parts"]
    assert {part[step]["state"] for step in STEPS} == {"done"}


def test_plain_doit_puts_a_damaged_history_aside_too(loaded: Loaded, tmp_path: Path) -> None:
    (tmp_path / "dodo.py").write_text((Path(__file__).parents[1] / "dodo.py").read_text())
    damage(loaded.data / "state" / "history.sqlite", "header")
    ran = process([sys.executable, "-m", "doit", "month=2020-01"], tmp_path)
    assert (ran.code, "was put aside" in ran.err) == (0, True), ran.err


@pytest.fixture
def locked(loaded: Loaded) -> Iterator[Path]:
    """The history, while another program has a change in it that is not finished."""
    database = loaded.data / "state" / "history.sqlite"
    hold = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
    hold += "c.execute('BEGIN EXCLUSIVE'); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield database
        child.kill()


def test_a_history_that_another_program_has_locked_ends_1_soon(loaded: Loaded, locked: Path) -> None:
    begun = time.monotonic()
    ran = loaded.run()
    assert time.monotonic() - begun < 30
    assert (ran.code, no_bug(ran)) == (1, True), ran.err
    assert f"{locked} is locked by another program. Close that program" in ran.err.replace("\n", " ")
    assert loaded.look("status")["parts"][0]["load"]["state"] == "done"
    assert len(loaded.look("history")["runs"]) == 1


def test_a_history_that_is_locked_while_a_run_is_on_fails_the_part_and_is_told(
    taxi: Command, publisher: Publisher, tmp_path: Path
) -> None:
    holders: list[sqlite3.Connection] = []

    def lock_and_answer(to: BaseHTTPRequestHandler) -> None:
        holders.append(sqlite3.connect(tmp_path / "data" / "state" / "history.sqlite", check_same_thread=False))
        holders[0].execute("BEGIN EXCLUSIVE")
        answer(to, 200, MONTH.read_bytes())

    publisher.files["/yellow_tripdata_2020-01.csv"] = lock_and_answer
    ran = taxi("run", "--month", "2020-01", "--source", publisher.template, "--json")
    holders[0].close()
    assert (ran.code, ran.document["exit"], no_bug(ran)) == (1, 1, True), ran.err
    assert ran.steps == [dict.fromkeys(STEPS, "blocked") | {"download": "failed"}]
    assert "is locked by another program" in ran.err
    assert "The end of this run is not in the history" in ran.err
    publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
    assert taxi("run", "--month", "2020-01", "--source", publisher.template).code == 0


@pytest.mark.parametrize("kibibytes", [1, 4, 16, 64])
def test_files_that_may_not_grow_end_1_with_a_remedy_and_all_is_well_afterwards(tmp_path: Path, kibibytes: int) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (kibibytes * 1024, kibibytes * 1024))

    command = [sys.executable, "-m", "taxi_ingest", *RUN]
    environment = {**os.environ, **FEW_ROWS}
    ran = subprocess.run(
        command, cwd=tmp_path, env=environment, preexec_fn=limit, capture_output=True, text=True, check=False
    )
    said = ran.stderr + ran.stdout
    assert (ran.returncode, "bug" in said, "Traceback" in said) == (1, False, False), said
    assert "disk space" in said
    again = process([*command, "--json"], tmp_path, FEW_ROWS)
    assert (again.code, again.document["parts"][0]["rows"]) == (0, 100), again.err


@pytest.mark.parametrize("files", [8, 16, 18])
def test_few_open_files_end_1_with_a_remedy_and_all_is_well_afterwards(tmp_path: Path, files: int) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    command = [sys.executable, "-m", "taxi_ingest", *RUN, "--json"]
    environment = {**os.environ, **FEW_ROWS, "TAXI_INGEST_DOWNLOAD__TRIES": "1"}
    ran = subprocess.run(
        command, cwd=tmp_path, env=environment, preexec_fn=limit, capture_output=True, text=True, check=False
    )
    assert (ran.returncode in {0, 1}, "bug" in ran.stderr, "Traceback" in ran.stderr) == (True, False, False), (
        ran.stderr
    )
    assert ran.returncode == 0 or "ulimit -n" in ran.stderr or "Too many open files" in ran.stderr
    again = process(command, tmp_path, FEW_ROWS)
    assert (again.code, again.document["parts"][0]["rows"]) == (0, 100), again.err


@pytest.mark.parametrize("size", ["16k", "64k", "200k", "600k"])
def test_a_full_disk_ends_1_with_a_remedy(tmp_path: Path, size: str) -> None:
    (tmp_path / "data").mkdir()
    mount = f"mount -t tmpfs -o size={size} tmpfs data"
    ran = as_root(mount, f"{TAXI} {' '.join(RUN)}", cwd=tmp_path)
    assert (ran.code, no_bug(ran)) == (1, True), ran.err + ran.out


# ---- permission


@pytest.mark.parametrize("arguments", [["status"], ["history"], ["history", "latest"], ["logs"], ["plan"]])
def test_a_data_directory_on_a_read_only_disk_can_be_looked_at(loaded: Loaded, arguments: list[str]) -> None:
    words = [*arguments, *(loaded.arguments[:-1] if arguments == ["plan"] else ())]
    before = loaded.taxi(*words).out
    command = f"{TAXI} {' '.join(words)}".replace("{", "'{'").replace("}", "'}'")
    ran = as_root("mount --bind data data", "mount -o remount,ro,bind data", command, cwd=loaded.data.parent)
    but_for_free_bytes = slice(0, before.rfind(", ") if arguments == ["plan"] else None)
    assert (ran.code, ran.out[but_for_free_bytes], ran.err) == (0, before[but_for_free_bytes], "")


def test_a_run_in_a_data_directory_on_a_read_only_disk_ends_1(loaded: Loaded) -> None:
    command = f"{TAXI} run --month 2020-01"
    ran = as_root("mount --bind data data", "mount -o remount,ro,bind data", command, cwd=loaded.data.parent)
    assert (ran.code, "Read-only file system" in ran.err, no_bug(ran)) == (1, True, True), ran.err


@pytest.mark.parametrize("verb", ["run", "status", "history", "logs", "plan"])
def test_a_path_that_is_far_too_long_ends_with_a_sentence(taxi: Command, verb: str) -> None:
    for path in ("d/" * 1950 + "d", "d" * 3900):
        ran = taxi(verb, "--data-dir", path)
        assert (ran.code, len(ran.err.splitlines())) == (2, 1), ran.err


# ---- a clock that is wrong


def shift(data: Path, run: str, days: int) -> None:
    """Let a run have begun `days` later (or earlier) than it did."""
    started = (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="milliseconds")
    with sqlite3.connect(data / "state" / "history.sqlite") as db:
        db.execute("UPDATE runs SET started = ? WHERE run = ?", [started, run])


def known_runs(loaded: Loaded) -> list[str]:
    return [run["run"] for run in loaded.look("history")["runs"]]


def test_one_run_with_a_clock_far_ahead_forgets_nothing(loaded: Loaded) -> None:
    """As it looks from a clock 3 years ahead, the earlier runs began 3 years ago."""
    first, second = loaded.first.document["run"], loaded.run().document["run"]
    shift(loaded.data, first, -1100)
    shift(loaded.data, second, -1095)
    third = loaded.run().document["run"]
    assert known_runs(loaded) == [third, second, first]
    assert {path.name for path in (loaded.data / "logs").iterdir()} >= {first}


def test_one_run_whose_clock_says_so_forgets_nothing_nor_does_the_next(loaded: Loaded, tmp_path: Path) -> None:
    first = loaded.first.document["run"]
    ahead = loaded.run(**clock(tmp_path / "clock", 1095))
    assert ahead.code == 0, ahead.err
    assert ahead.document["run"][:4] >= str(datetime.now(UTC).year + 2)  # the clock was ahead indeed
    last = loaded.run().document["run"]
    assert known_runs(loaded) == [last, ahead.document["run"], first]
    assert {path.name for path in (loaded.data / "logs").iterdir()} >= {first}


def test_a_clock_before_the_first_month_is_told(taxi: Command, tmp_path: Path) -> None:
    environment = clock(tmp_path / "clock", -20_000)
    for month in ("latest", "2021-01", "2021-01..latest"):
        ran = taxi("plan", "--month", month, **environment)
        assert (ran.code, "on this machine today is 19" in ran.err.lower()) == (1 + (month != "latest"), True), ran.err


def test_when_time_has_really_passed_old_runs_are_forgotten(loaded: Loaded) -> None:
    first, second = loaded.first.document["run"], loaded.run().document["run"]
    shift(loaded.data, first, -1100)
    shift(loaded.data, second, -1095)
    third, fourth = loaded.run().document["run"], loaded.run().document["run"]
    assert known_runs(loaded) == [fourth, third]
    assert not (loaded.data / "logs" / first).exists()


def test_after_a_run_with_a_clock_far_ahead_the_newest_is_the_last(loaded: Loaded) -> None:
    shift(loaded.data, loaded.first.document["run"], 1095)
    later = loaded.run().document["run"]
    assert known_runs(loaded) == [later, loaded.first.document["run"]]
    assert loaded.look("history", "latest")["run"]["run"] == later


# ---- bugs, and what is kept of them; memory


def broken(folder: Path, module: str, code: str) -> dict[str, str]:
    """An environment in which a library is broken."""
    folder.mkdir(exist_ok=True)
    (folder / f"{module}.py").write_text(code)
    return {"PYTHONPATH": str(folder), **FEW_ROWS}


def fault_in_doit(raised: str) -> str:
    return f"import doit.runner\ndef run_tasks(*_): raise {raised}\ndoit.runner.MRunner.run_tasks = run_tasks\n"


def bug_log(ran: Ran) -> str:
    (path,) = [line.partition("its log is ")[2] for line in ran.err.splitlines() if "its log is" in line]
    return Path(path).read_text()


@pytest.mark.parametrize(
    ("raised", "kept"),
    [
        ("doit.runner.InvalidTask('what doit has to say')", "what doit has to say"),
        ("ZeroDivisionError('a fault inside doit')", "ZeroDivisionError: a fault inside doit"),
    ],
)
def test_the_log_of_a_fault_inside_doit_holds_its_words(tmp_path: Path, raised: str, kept: str) -> None:
    environment = broken(tmp_path / "broken", "sitecustomize", fault_in_doit(raised))
    ran = process([sys.executable, "-m", "taxi_ingest", *RUN], tmp_path, environment)
    assert (ran.code, "Traceback" in ran.err) == (3, False), ran.err
    assert kept in bug_log(ran)


def test_no_thread_to_be_had_is_no_bug(tmp_path: Path) -> None:
    fault = fault_in_doit('RuntimeError("can\'t start new thread")')
    environment = broken(tmp_path / "broken", "sitecustomize", fault)
    ran = process([sys.executable, "-m", "taxi_ingest", *RUN], tmp_path, environment)
    assert (ran.code, "this machine refused: not enough memory" in ran.err, no_bug(ran)) == (1, True, True), ran.err


def test_a_bug_whose_log_cannot_be_written_is_printed(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where a folder must be")
    environment = broken(tmp_path / "broken", "filelock", "raise ZeroDivisionError('caf\\udce9')")
    ran = process([sys.executable, "-m", "taxi_ingest", *RUN], tmp_path, environment)
    assert (ran.code, "Traceback" in ran.err, "ZeroDivisionError: caf" in ran.err) == (3, True, True), ran.err


@pytest.mark.parametrize("folder", ["yellow/2021-1", "yellow/all", "yellow/junk", "zones/2020-01", "taxis/2020-01"])
def test_receipts_in_folders_that_no_part_can_have_are_passed_over(loaded: Loaded, folder: str) -> None:
    receipts = loaded.data / "state" / "receipts"
    shutil.copytree(receipts / "yellow" / "2020-01", receipts / folder)
    assert [(part["dataset"], part["month"]) for part in loaded.look("status")["parts"]] == [("yellow", "2020-01")]
    assert "2020" in loaded.taxi("status").out


NO_RECEIPTS = ["[" * 100_000, '{"a":' * 5000, "{}", "null", "[]", '{"source": 1}', "\udcff", "9" * 9999]


@pytest.mark.parametrize("text", NO_RECEIPTS, ids=range(len(NO_RECEIPTS)))
def test_a_receipt_that_is_none_is_made_again(loaded: Loaded, text: str) -> None:
    for step in STEPS:
        receipt = loaded.data / "state" / "receipts" / "yellow" / "2020-01" / f"{step}.json"
        receipt.write_bytes(text.encode(errors="surrogateescape"))
    assert loaded.taxi("status", "--json").code == 0
    ran = loaded.run()
    assert (ran.code, no_bug(ran)) == (0, True), ran.err
    assert json.loads(receipt.read_text())["rows"] == ran.document["parts"][0]["rows"]


NO_MEMORY = {
    "pyarrow": "raise ImportError('libarrow.so.2600: failed to map segment from shared object')",
    "duckdb": "raise MemoryError",
    "google_crc32c": "raise OSError(12, 'Cannot allocate memory')",
    "isal": "raise MemoryError('std::bad_alloc')",
}


@pytest.mark.parametrize("module", NO_MEMORY)
def test_a_library_for_which_there_is_no_memory_is_no_bug(tmp_path: Path, module: str) -> None:
    environment = broken(tmp_path / "broken", module, NO_MEMORY[module])
    ran = process([sys.executable, "-m", "taxi_ingest", *RUN], tmp_path, environment)
    assert (ran.code, no_bug(ran)) == (1, True), ran.err + ran.out
    assert "this machine refused: not enough memory" in ran.err + ran.out


@pytest.mark.parametrize("verb", ["run --month 2021-01", "status", "plan", "doctor"])
def test_little_memory_indeed_is_no_bug(loaded: Loaded, verb: str) -> None:
    ran = process(["sh", "-c", f"ulimit -v 100000; {TAXI} {verb}"], loaded.data.parent)
    assert (ran.code, no_bug(ran), "not enough memory" in ran.err + ran.out) == (1, True, True), ran.err + ran.out
