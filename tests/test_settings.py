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
        ("[global]\njobs = '3'\n", "global.jobs must be a whole number, not '3'"),
        ("[global]\nstrict = 1\n", "global.strict must be true or false, not 1"),
        ("[global]\nkeep = 'parquet'\n", "global.keep must be a list of texts"),
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
