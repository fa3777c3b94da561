"""Settings: defaults, discovery, precedence, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import REPOSITORY, Command

from taxi_ingest import settings as config
from taxi_ingest.errors import UsageError


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_config_file_holds_exactly_the_built_in_defaults() -> None:
    built_in = {name: value for name, value, _ in config.read({}).items()}
    written = {name: value for name, value, _ in config.read({}, config=str(REPOSITORY / "config.toml")).items()}
    written["global.data_dir"] = built_in["global.data_dir"]  # the file's counts from its own folder
    assert written == built_in


def test_the_config_file_names_every_setting() -> None:
    origins = config.read({}, config=str(REPOSITORY / "config.toml")).origins
    assert {name for name, _, _ in config.read({}).items()} == set(origins)


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = [config.read({}).global_.jobs]
    (tmp_path / "config.toml").write_text("[global]\njobs = 5\n")
    got.append(config.read({}).global_.jobs)
    monkeypatch.setenv("TAXI_INGEST_GLOBAL__JOBS", "6")
    got.append(config.read({}).global_.jobs)
    got.append(config.read({"global.jobs": 7}).global_.jobs)
    assert got == [4, 5, 6, 7]


def test_the_config_file_is_found_by_flag_then_variable_then_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, jobs in (("config.toml", 5), ("b.toml", 6), ("c.toml", 7)):
        (tmp_path / name).write_text(f"[global]\njobs = {jobs}\n")
    got = [config.read({}).global_.jobs]
    monkeypatch.setenv("TAXI_INGEST_CONFIG", "b.toml")
    got.append(config.read({}).global_.jobs)
    got.append(config.read({}, config="c.toml").global_.jobs)
    assert got == [5, 6, 7]


def test_paths_of_a_file_count_from_its_folder_and_others_from_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "my.toml").write_text('[global]\ndata_dir = "here"\nwarehouse = "duckdb:t.duckdb"\n')
    settings = config.read({}, config="far/my.toml").global_
    assert (settings.data_dir, settings.warehouse) == (f"{tmp_path}/far/here", f"duckdb:{tmp_path}/far/t.duckdb")
    monkeypatch.setenv("TAXI_INGEST_GLOBAL__DATA_DIR", "there")
    assert config.read({}, config="far/my.toml").global_.data_dir == "there"


def test_urls_in_a_file_are_no_paths(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[global]\nstore = "gs://bucket/prefix"\n')
    assert config.read({}).global_.store == "gs://bucket/prefix"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[global]\njob = 3\n", "there is no setting 'global.job'. Did you mean 'global.jobs'?"),
        ("[globl]\njobs = 3\n", "Did you mean 'global.jobs'?"),
        ("[global]\njobs = '3'\n", "global.jobs must be a whole number from 1 to 64, not '3'"),
        ("[global]\nstrict = 1\n", "global.strict must be true or false, not 1"),
        ("[global]\nkeep = 'parquet'\n", "global.keep must be a list of texts (possible: raw, parquet), not 'parquet'"),
        ("[global]\nkeep = ['csv']\n", "global.keep must be a list of texts (possible: raw, parquet), not ['csv']"),
        ("[parquetize]\ncompression = 'lzma'\n", "must be one of zstd, snappy, gzip, none, not 'lzma'"),
        ("[parquetize]\nmax_rejects = 'some'\n", "parquetize.max_rejects must be a number"),
        ("jobs = 3\n", "'jobs' stands outside a section"),
        ("[global\n", "is not TOML"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_would_be_right(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(UsageError) as raised:
        config.read({})
    assert sentence in str(raised.value)


def test_a_list_in_the_environment_is_told_how_to_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXI_INGEST_GLOBAL__KEEP", "[]")
    with pytest.raises(UsageError, match="with commas between them, and an empty list as nothing"):
        config.read({})
    monkeypatch.setenv("TAXI_INGEST_GLOBAL__KEEP", "")
    assert config.read({}).global_.keep == ()


NUMBERS = {
    "global.jobs": "1 to 64",
    "global.history_days": "0 to 36,500",
    "download.at_once": "1 to 64",
    "download.tries": "1 to 100",
    "download.backoff_seconds": "0 to 300",
    "download.timeout_seconds": "0.1 to 3,600",
    "download.slowest_bytes_per_second": "1 to 1,000,000,000",
    "download.grace_days": "0 to 36,500",
    "download.refresh_months": "0 to 10,000",
    "parquetize.at_once": "1 to 64",
    "parquetize.compression_level": "1 to 22",
    "parquetize.row_group_rows": "1 to 100,000,000",
    "parquetize.max_rejects": "0 to 1",
    "upload.at_once": "1 to 64",
    "upload.tries": "1 to 100",
    "upload.backoff_seconds": "0 to 300",
    "load.memory_limit_mb": "100 to 1,000,000",
    "load.maximum_bytes_billed": "0 to 1,000,000,000,000,000",
    "load.tries": "1 to 100",
    "load.backoff_seconds": "0 to 300",
    "demo.rows": "1 to 5,000,000",
    "demo.seed": "0 to 999,999,999",
}


def test_every_number_has_a_range() -> None:
    numbers = {name for name, value, _ in config.read({}).items() if type(value) in {int, float}}
    assert numbers == set(NUMBERS)


@pytest.mark.parametrize("value", ["-1", "1" + "0" * 27, "nan", "inf", "1e400", "9" * 5000, "0x" + "f" * 5000])
def test_a_number_out_of_its_range_is_refused_in_a_short_sentence(tmp_path: Path, value: str) -> None:
    for name, limits in NUMBERS.items():
        section, _, key = name.partition(".")
        (tmp_path / "config.toml").write_text(f"[{section}]\n{key} = {value}\n")
        with pytest.raises(UsageError) as raised:
            config.read({})
        is_no_toml = value == "9" * 5000
        assert ("is not TOML" if is_no_toml else f"from {limits}, not ") in str(raised.value)
        assert len(str(raised.value)) < 250


@pytest.mark.parametrize("value", ["-1", "1" + "0" * 27, "nan", "inf", "9" * 5000])
def test_a_number_out_of_its_range_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    for name, limits in NUMBERS.items():
        monkeypatch.setenv(config.environment_name(name), value)
        with pytest.raises(UsageError) as raised:
            config.read({})
        assert f"from {limits}, not '" in str(raised.value)
        monkeypatch.delenv(config.environment_name(name))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GLOBAL__JOBS", "1" + "0" * 27),
        ("GLOBAL__HISTORY_DAYS", "999999999"),
        ("DOWNLOAD__TIMEOUT_SECONDS", "nan"),
        ("DOWNLOAD__TIMEOUT_SECONDS", "0"),
        ("DOWNLOAD__BACKOFF_SECONDS", "1" + "0" * 400),
        ("PARQUETIZE__COMPRESSION_LEVEL", "99999999999"),
        ("PARQUETIZE__ROW_GROUP_ROWS", "1" + "0" * 20),
        ("GLOBAL__DATA_DIR", "d\udcff"),
        ("GLOBAL__STORE", "s\udcff"),
        ("GLOBAL__WAREHOUSE", "duckdb:w\udcff"),
        ("GLOBAL__SOURCE", "file:///\udcff/{month}"),
        ("SHARED__MONTH", "2021\udcff"),
    ],
)
@pytest.mark.parametrize("verb", ["run", "status"])
def test_a_command_with_an_impossible_setting_ends_2(
    taxi: Command, tmp_path: Path, verb: str, name: str, value: str
) -> None:
    ran = taxi(verb, **{f"TAXI_INGEST_{name}": value})
    assert (ran.code, "Traceback" in ran.err, list(tmp_path.iterdir())) == (2, False, []), ran.err
    assert f"TAXI_INGEST_{name}: " in ran.err
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize(
    "text",
    [
        "x=" + "[" * 3000,
        "[global]\nx=" + "[" * 3000 + "]" * 3000,
        *(f'[global]\n{key} = "a\\u0000b"' for key in ("data_dir", "store", "warehouse", "source")),
        "[global]\njobs = " + "1" * 10_000,
        "[global]\njobs = 0b" + "1" * 100_000,
        "[global]\n" + "k" * 10_000 + " = 1",
    ],
)
def test_a_config_file_that_nobody_can_mean_ends_2_with_one_sentence(taxi: Command, tmp_path: Path, text: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    ran = taxi("run")
    assert (ran.code, len(ran.err.splitlines()), len(ran.err) < 1000) == (2, 1, True), ran.err
    assert "config.toml" in ran.err


@pytest.mark.parametrize("key", ["source", "store", "warehouse"])
@pytest.mark.parametrize("value", ['["u:hush@host"]', '{ password = "hush" }', '"u:hush@host\\u0000"'])
def test_a_wrong_place_is_refused_without_its_secrets(taxi: Command, tmp_path: Path, key: str, value: str) -> None:
    (tmp_path / "config.toml").write_text(f"[global]\n{key} = {value}\n")
    ran = taxi("run")
    assert (ran.code, f"global.{key} must be a text" in ran.err, "hush" in ran.err) == (2, True, False), ran.err


def test_gzip_has_fewer_levels(taxi: Command) -> None:
    ran = taxi("run", TAXI_INGEST_PARQUETIZE__COMPRESSION="gzip", TAXI_INGEST_PARQUETIZE__COMPRESSION_LEVEL="12")
    assert (ran.code, "compression_level must be at most 9 for gzip, not 12" in ran.err) == (2, True), ran.err


def test_a_file_named_like_a_variable_is_a_file(taxi: Command, tmp_path: Path) -> None:
    (tmp_path / "TAXI_INGEST_GLOBAL__X.toml").write_text("[global]\njobs = 5\ndata_dir = 'mine'\nsource = 'demo'\n")
    more = ("--config", "TAXI_INGEST_GLOBAL__X.toml")
    assert taxi("config", *more, "--json").document["global.jobs"]["value"] == 5
    # a data directory of a file is not for the demo, one of the environment is
    ran = taxi("run", "--month", "2021-01", *more, TAXI_INGEST_DEMO__ROWS="100")
    assert (ran.code, (tmp_path / "demo-data").exists(), (tmp_path / "mine").exists()) == (0, True, False), ran.err


def test_a_config_file_whose_name_is_no_utf_8_is_used_and_recorded(taxi: Command, tmp_path: Path) -> None:
    (tmp_path / "caf\udce9.toml").write_text("[demo]\nrows = 7\n")
    ran = taxi("run", "--month", "2021-01", "--source", "demo", "--config", "caf\udce9.toml", "--json")
    assert (ran.code, ran.document["parts"][0]["rows"]) == (0, 7), ran.err
    (run,) = taxi("history", "--data-dir", "demo-data", "--json").document["runs"]
    assert run["request"].endswith(r"--config caf\udce9.toml --json")


def test_a_data_dir_whose_links_go_in_a_circle_is_refused(taxi: Command, tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for option in ("--data-dir", "--store", "--warehouse"):
        ran = taxi("run", option, "duckdb:a" if option == "--warehouse" else "a")
        assert (ran.code in {1, 2}, len(ran.err.splitlines())) == (True, 1), ran.err


@pytest.mark.parametrize("verb", ["run", "status", "history", "logs", "plan"])
def test_a_folder_whose_name_is_no_utf_8_is_refused(taxi: Command, tmp_path: Path, verb: str) -> None:
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    ran = taxi(verb, cwd=folder)
    assert (ran.code, "whose name is not UTF-8" in ran.err, list(folder.iterdir())) == (2, True, []), ran.err


@pytest.mark.parametrize("option", ["--source", "--store", "--warehouse"])
@pytest.mark.parametrize("place", ["u:hush@host/x{month}", "postgres:u:hush@host", "u:hush/hush@host"])
def test_a_place_without_slashes_is_refused_without_its_secrets(taxi: Command, option: str, place: str) -> None:
    ran = taxi("run", option, place)
    assert (ran.code, "cannot be parsed" in ran.err, "hush" in ran.err) == (2, True, False), ran.err


def test_the_config_verb_shows_no_secret_of_a_place_without_slashes(taxi: Command) -> None:
    ran = taxi("config", TAXI_INGEST_GLOBAL__SOURCE="u:hush@host/{month}")
    assert (ran.code, "…" in ran.out, "hush" in ran.out + ran.err) == (2, True, False), ran.err


def test_the_config_verb_names_a_file_whose_name_is_no_utf_8(taxi: Command, tmp_path: Path) -> None:
    (tmp_path / "caf\udce9.toml").write_text("[global]\njobs = 5\n")
    for more in ((), ("--json",)):
        ran = taxi("config", "--config", "caf\udce9.toml", *more, PYTHONIOENCODING="utf-8:strict")
        assert (ran.code, "udce9.toml" in ran.out) == (0, True), ran.err


def test_a_wrong_value_in_the_environment_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXI_INGEST_GLOBAL__JOBS", "many")
    with pytest.raises(UsageError, match=r"TAXI_INGEST_GLOBAL__JOBS: global\.jobs must be a whole number"):
        config.read({})


def test_a_whole_number_will_do_for_a_number(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[download]\ntimeout_seconds = 5\n")
    assert config.read({}).download.timeout_seconds == 5.0


def test_a_config_file_that_is_named_must_be_there() -> None:
    with pytest.raises(UsageError, match=r"nowhere\.toml does not exist"):
        config.read({}, config="nowhere.toml")


def test_the_config_verb_shows_value_and_origin(taxi: Command) -> None:
    document = taxi("config", "--json", TAXI_INGEST_GLOBAL__JOBS="9").document
    assert document["global.jobs"] == {"value": 9, "from": "TAXI_INGEST_GLOBAL__JOBS"}
    assert document["shared.dataset"] == {"value": "", "from": "default"}


def test_the_config_verb_is_readable(taxi: Command) -> None:
    lines = taxi("config", TAXI_INGEST_DOWNLOAD__BACKOFF_SECONDS="2").out.splitlines()
    (line,) = [line for line in lines if line.split()[:1] == ["download.backoff_seconds"]]
    name = "TAXI_INGEST_DOWNLOAD__BACKOFF_SECONDS"
    assert line.split() == ["download.backoff_seconds", "2.0", name, name]


@pytest.mark.parametrize("label", ["team", "Team=data", "team=Data", "=data", "1=data", f"{'k' * 64}=data"])
def test_a_label_that_google_does_not_take_is_refused(tmp_path: Path, label: str) -> None:
    (tmp_path / "config.toml").write_text(f'[load]\nlabels = ["{label}"]\n')
    with pytest.raises(UsageError, match="each key=value in lower-case letters, digits, _ and -"):
        config.read({})
