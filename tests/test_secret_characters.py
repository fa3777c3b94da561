"""Secrets with characters that end an address in a text, and addresses with mistakes in them: nothing of them is kept
or shown, wherever they were given."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from conftest import MONTH, Command, Publisher, Ran, answer, query, serve
from hypothesis import given
from hypothesis import strategies as st

from taxi_ingest.errors import UsageError
from taxi_ingest.place import Place
from taxi_ingest.redaction import public_text, redacted, remember

PIECES = ("user11secret", "left22secret", "right33secret", "tokleft44secret", "tokright55secret")
USER, LEFT, RIGHT, TOKEN_LEFT, TOKEN_RIGHT = PIECES
CHARACTERS = {
    "quote": "'", "double quote": '"', "less": "<", "greater": ">", "space": " ", "no-break space": "\u00a0",
    "newline": "\n", "tab": "\t", "semicolon": ";", "comma": ",", "at": "@", "escaped": "%27%20",
    "umlaut": "ü",
    "euro": "€",
}  # fmt: skip
WHERE = ("flag", "environment", "config file")


def leaks(folder: Path, *ran: Ran, ours: Path | None = None) -> list[str]:
    """Where a piece of a secret is: files but for the config file we wrote, and what was printed."""
    contents = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path != ours}
    contents |= {f"printed {number}": (one.out + one.err).encode() for number, one in enumerate(ran)}
    contents |= {f"named {path}": str(path).encode() for path in folder.rglob("*")}
    return [name for name, text in contents.items() if any(piece.encode() in text for piece in PIECES)]


def put(where: str, setting: str, value: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment that give `value` to a setting."""
    if where == "flag":
        return [f"--{setting.replace('_', '-')}", value], {}
    section = "shared" if setting in {"month", "dataset"} else "global"
    if where == "environment":
        return [], {f"TAXI_INGEST_{section.upper()}__{setting.upper()}": value}
    (folder / "config.toml").write_text(f"[{section}]\n{setting} = {json.dumps(value)}\n")
    return [], {}


CASES = [*((character, WHERE[number % 3]) for number, character in enumerate(CHARACTERS)), ("quote", "environment")]


@pytest.mark.parametrize(("character", "where"), CASES)
def test_whatever_a_secret_holds_it_is_not_kept_or_shown(
    taxi: Command, publisher: Publisher, tmp_path: Path, character: str, where: str
) -> None:
    between = CHARACTERS[character]
    publisher.everything = lambda to: (
        serve(to, MONTH.read_bytes()) if "2020-01" in to.path else answer(to, 404, to.path.encode())
    )
    template = publisher.url.replace("//", f"//{USER}:{LEFT}{between}{RIGHT}@") + (
        f"/{{dataset}}_{{month}}.csv;jsession={TOKEN_LEFT}?f='x'&token={TOKEN_LEFT}{between}{TOKEN_RIGHT}#{TOKEN_LEFT}"
    )
    how, environment = put(where, "source", template, tmp_path)
    seen = [
        taxi("run", "--month", "2020-01", *how, "--json", **environment),
        taxi("run", "--month", "2020-02", *how, **environment, TAXI_INGEST_DOWNLOAD__TRIES="1"),
        taxi("history", "latest", "--json", **environment),
        taxi("logs", **environment),
        taxi("config", **environment),
    ]
    assert [one.code for one in seen[:2]] == [0, 1], [one.err for one in seen]
    assert query(tmp_path / "data" / "taxi.duckdb", "SELECT count(*) FROM yellow_tripdata") == [(999,)]
    assert any("Authorization" in headers for headers in publisher.headers)
    encoded = base64.b64encode(f"{USER}:{LEFT}".encode())[:-4]
    assert encoded.decode() not in "".join(one.out + one.err for one in seen)
    assert leaks(tmp_path, *seen, ours=tmp_path / "config.toml") == []


@pytest.mark.parametrize("where", ["flag", "environment"])
def test_a_secret_that_is_not_utf_8_is_refused_without_being_shown(taxi: Command, tmp_path: Path, where: str) -> None:
    how, environment = put(where, "source", f"http://{USER}:{LEFT}\udca8@host/{{month}}.csv", tmp_path)
    ran = taxi("run", *how, **environment)
    assert (ran.code, "must be a text in UTF-8" in ran.err) == (2, True)
    assert leaks(tmp_path, ran) == []


BROKEN = [
    "http:/{u}:{p}@host/{{month}}.csv",
    "http:{u}:{p}@host/{{month}}.csv",
    "HTTP:/{u}:{p}@host/x",
    "https:\\\\{u}:{p}@host/x",
    "{u}:{p}@host/{{month}}.csv?token={t}",
    "1http://{u}:{p}@host/{{month}}.csv",
    "_http://{u}:{p}@host/x?token={t}",
    "//{u}:{p}@host/x",
    "//host/x?token={t}",
    "http://{u}:{p}/{t}@host/x",
    "http://{u}:{p}#{t}@host/x",
    "http://{u}:{p}?{t}@host/x",
    "http://[{u}:{p}@host/x",
    "http://tenant/{u}:{p}@host/x",
    "http://tenant//:{p}@host/{{month}}.csv",
    "host/x?token={t}",
    "host/x;token={t}",
    " http://{u}:{p}@host/x",
    "http://{u}:{p}\\{t}@127.0.0.1:9/x",
    "ftp://{u}:{p}@host/x?token={t}",
    "HTTP://{u}:{p}@127.0.0.1:9/x;token={t}#{t}",
    "{u}:p'{p} {t}@host",
]


def broken(number: int) -> str:
    return BROKEN[number].format(u=USER, p=LEFT, t=TOKEN_LEFT).replace("{{", "{")


@pytest.mark.parametrize("number", range(len(BROKEN)), ids=BROKEN)
def test_an_address_with_a_mistake_is_never_quoted(taxi: Command, tmp_path: Path, number: int) -> None:
    seen = []
    for turn, setting in enumerate(("source", "store", "warehouse", "data_dir", "month", "dataset")):
        folder = tmp_path / setting
        folder.mkdir()
        how, environment = put(WHERE[(number + turn) % 3], setting, broken(number), folder)
        more = {"TAXI_INGEST_DOWNLOAD__TRIES": "1"} | environment
        source = [] if setting == "source" else ["--source", "file:///nowhere/{dataset}_{month}.csv"]
        ran = taxi("run", *how, *source, cwd=folder, **more)
        assert ran.code in {1, 2}, ran.out + ran.err
        seen += [ran, *([taxi("config", "--json", cwd=folder, **more)] if (number + turn) % 6 in {1, 5} else [])]
        (folder / "config.toml").unlink(missing_ok=True)
    assert leaks(tmp_path, *seen) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",), ("run", "--jobs"), ("run", "--config"), ("run", "--nonsense"), (), ("history",), ("logs",),
        ("history", "--last"), ("catalog", "--dataset"), ("status", "--month"), ("status", "--data-dir"),
        ("doctor", "--store"), ("doctor", "--warehouse"), ("plan", "--source"), ("cron", "--at"),
        ("cron", "--month"), ("cron", "--source"), ("cron", "--store"), ("cron", "--warehouse"), ("cron", "--data-dir"),
        ("cron", "--config"),
    ],
)  # fmt: skip
def test_no_argument_is_quoted_with_its_secrets(taxi: Command, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    address = f"http://{USER}:{LEFT}'{RIGHT}@127.0.0.1:9/x?token={TOKEN_LEFT} {TOKEN_RIGHT}"
    seen = [taxi(*arguments, address), taxi(*arguments, address.replace("//", "/"))]
    seen += [taxi(*arguments[:-1], f"{arguments[-1]}={address}")] if len(arguments) > 1 else []
    assert all(one.code for one in seen) or arguments[0] == "plan"
    assert leaks(tmp_path, *seen) == []


@pytest.mark.parametrize(
    "name", ["TAXI_INGEST_CONFIG", "TAXI_INGEST_GLOBAL__JOBS", "TAXI_INGEST_GLOBAL__KEEP", "TAXI_INGEST_LOAD__METHOD"]
)
def test_no_variable_is_quoted_with_its_secrets(taxi: Command, tmp_path: Path, name: str) -> None:
    environment = {name: f"http://{USER}:{LEFT}'{RIGHT}@127.0.0.1:9/x?token={TOKEN_LEFT} {TOKEN_RIGHT}"}
    seen = [taxi(*verb, **environment) for verb in (("run", "--source", "demo"), ("config",), ("config", "--json"))]
    assert seen[0].code == 2
    assert leaks(tmp_path, *seen) == []


SOME_TEXT = st.text(st.characters(exclude_characters="/:@?#;[]", exclude_categories=["Cs"]))


@given(password=SOME_TEXT, token=SOME_TEXT)
def test_a_place_shows_nothing_of_its_secrets(password: str, token: str) -> None:
    text = f"https://{USER}:{LEFT}{password}{RIGHT}@host/x;a={TOKEN_LEFT}?token={token}{TOKEN_RIGHT}#{TOKEN_RIGHT}"
    try:
        shown = str(Place.parse(text))
    except UsageError as error:
        shown = str(error)
    assert not any(piece in shown + public_text(text) for piece in PIECES)
    # a library's words
    for quoted in (text, repr(text), json.dumps(text), f"refused: {LEFT}{password}{RIGHT} is wrong"):
        assert not any(piece in redacted(f"it said {quoted} and left") for piece in (LEFT, RIGHT))


@pytest.mark.parametrize(
    "text",
    [
        "2021-01..2021-03,latest", "yellow,green", "./data", "/home/a@b/c:d", "../a:x@y",
        "duckdb:/home/me:x@y/t.duckdb",
        "gs://bucket/prefix", "C3PO", "lake", "auto", "what is this?", "a;b", "17 6 * * *",
    ],
)  # fmt: skip
def test_what_is_no_address_stays_as_it_is(text: str) -> None:
    assert public_text(text) == text


def test_words_of_ours_are_not_taken_for_a_secret() -> None:
    remember("bigquery://project/dataset?method=merge&location=EU")
    remember("https://host/{dataset}.csv?format=parquet&month={month}")
    sentence = "Use ?method=merge. Run parquetize --force for {month}."
    assert redacted(sentence) == sentence
