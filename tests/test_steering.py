"""What comes from outside never steers the terminal that shows it, whichever verb does.

Files, answers of servers, names of folders and columns, and earlier logs hold escape sequences here: they set the title
of the terminal, clear the screen, hide text, ask for an answer, turn the direction of writing.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from conftest import MONTH, process
from hypothesis import given
from hypothesis import strategies as st
from loopback import LoopbackHandler, serving
from publishing import answer
from terminals import on_a_terminal

from taxi_ingest.printable import on_one_line, printable

WORD = "\x1b]0;owned\x07\x1b[2J\x1b[8m\x9b5n\u202e"
SHOWN = ("\\x1b]0;owned", "\\u001b]0;owned")  # in words, in JSON

OBEYED = re.compile("\x1b[^[]|\x1b\\[2J|\x1b\\[8m|[\0-\x08\x0b\x0c\x0e-\x1a\x7f-\x9f\u202a-\u202e]")
"""What a terminal would obey, but for what rich writes itself: colours, and moves around its bars."""

QUICK = {"TAXI_INGEST_DOWNLOAD__BACKOFF_SECONDS": "0", "TAXI_INGEST_DOWNLOAD__TRIES": "2"}
TAXI = (sys.executable, "-m", "taxi_ingest")


@dataclass(frozen=True)
class Spoilt:
    """A folder with a data directory, in which everything that may hold `WORD` does; `logs` are those of its runs."""

    folder: Path
    data: str
    source: tuple[str, str]
    logs: str


def published() -> dict[str, bytes]:
    header, first, *rows = MONTH.read_text().splitlines()
    vendor, _, rest = first.partition(",")
    lines = [f"{header},{WORD}", *(f"{row},1" for row in (first, f"{WORD}{vendor},{rest}", *rows)), ""]
    return {
        "2020-01": "\n".join(lines).encode(),
        "2020-02": f"{WORD},fruit\n1,2\n".encode(),
        "2020-03": f"<html>{WORD}</html>".encode(),
    }


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spoilt]:
    files = published()

    class Handler(LoopbackHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name http.server calls
            month = self.path.rpartition("_")[2].partition(".")[0]
            if month in files:
                answer(self, 200, files[month])
            else:
                self.wfile.write(f"HTTP/1.1 302 {WORD}\r\nLocation: https://{WORD}/{WORD}\r\n\r\n".encode())
                self.close_connection = True

        do_HEAD = do_GET  # noqa: N815 - the server's name

    folder = tmp_path_factory.mktemp("spoilt")
    data = folder / f"data{WORD}"
    with serving(Handler) as url:
        source = ("--source", url + "/{dataset}_tripdata_{month}.csv")
        run = [*TAXI, "run", "--month", "2020-01..2020-04", *source, "--data-dir", data.name]
        assert process(run, folder, QUICK).code == 1
        logs = [path.read_text() for path in (data / "logs").rglob("*.log")]
        for path in (data / "logs").rglob("*.log"):
            path.write_text(f"{path.read_text()}\n2020-01-01 00:00:00,000 INFO {WORD}\n")  # as an earlier version wrote
        (data / "raw" / "yellow" / f"{WORD}.csv").touch()
        with duckdb.connect(str(data / "taxi.duckdb")) as db:
            db.execute(f'CREATE TABLE words AS SELECT ? AS "{WORD}"', [WORD])
        yield Spoilt(folder, data.name, source, "".join(logs))


VERBS = {
    "run": ("run", "--force", "--month", "2020-01..2020-04"),
    "run --quiet": ("run", "--force", "--quiet", "--month", "2020-01..2020-04"),
    "plan": ("plan", "--month", "2020-01..2020-04"),
    "status": ("status",),
    "history": ("history",),
    "history of a run": ("history", "latest"),
    "history of no run": ("history", WORD),
    "logs": ("logs",),
    "report": ("report",),
    "clean": ("clean", "--orphans", "--dry-run"),
    "verify": ("verify",),
    "query": ("query", "FROM words"),
    "query --csv": ("query", "--csv", "FROM words"),
    "query --json": ("query", "--json", "FROM words"),
    "query of nonsense": ("query", f"SELECT {WORD}"),
    "rows": ("rows",),
    "doctor": ("doctor",),
    "config": ("config",),
    "cron": ("cron", "--month", "2020-01..latest"),
}
TAKE_A_SOURCE = {"run", "run --quiet", "plan", "cron"}
QUOTE_NOTHING = {"plan", "verify", "rows", "cron"}


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_lets_it_reach_the_terminal(spoilt: Spoilt, verb: str) -> None:
    source = spoilt.source if verb in TAKE_A_SOURCE else ()
    shown = on_a_terminal([*TAXI, *VERBS[verb], *source, "--data-dir", spoilt.data], spoilt.folder, 200, **QUICK)
    assert OBEYED.findall(shown.drawn.decode()) == []
    assert any(word in shown.drawn.decode() for word in SHOWN) == (verb not in QUOTE_NOTHING)


def test_nor_does_a_log_hold_it_for_those_who_print_it(spoilt: Spoilt) -> None:
    assert (OBEYED.findall(spoilt.logs), SHOWN[0] in spoilt.logs) == ([], True)


def test_a_pipe_gets_the_values_as_they_are(spoilt: Spoilt) -> None:
    ran = process([*TAXI, "query", "--csv", "FROM words", "--data-dir", spoilt.data], spoilt.folder)
    assert ran.out == f'"{WORD}"\n"{WORD}"\n'


@given(st.text())
def test_of_no_text_anything_is_obeyed(text: str) -> None:
    assert OBEYED.findall(printable(text)) == []
    assert on_one_line(text).isprintable()


@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs"])))
def test_other_text_stays_as_it_is(text: str) -> None:
    assert printable(f"{text}\n\t{text}") == f"{text}\n\t{text}"
