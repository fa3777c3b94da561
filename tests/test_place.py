"""Places: what a URL names, and what of it may be shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from taxi_ingest.catalog import Part
from taxi_ingest.errors import UsageError
from taxi_ingest.place import Place
from taxi_ingest.redaction import redacted
from taxi_ingest.sources import check_source
from taxi_ingest.warehouses import open_warehouse


@pytest.mark.parametrize(
    ("text", "scheme", "shown"),
    [
        ("lake", "", "lake"),
        ("/data/lake?x", "", "/data/lake?x"),
        ("csv", "", "csv"),
        ("duckdb:taxi.duckdb", "duckdb", "duckdb:taxi.duckdb"),
        ("gs://bucket/prefix", "gs", "gs://bucket/prefix"),
        ("bigquery://project/trips?method=merge", "bigquery", "bigquery://project/trips"),
        ("postgresql://me:hunter2@host:5432/taxi?sslpassword=hunter3#x", "postgresql", "postgresql://host:5432/taxi"),
        ("https://me:hun'ter@host/{dataset}_{month}.csv?token=a b", "https", "https://host/{dataset}_{month}.csv"),
        ("https://host/a;jsessionid=hunter2/b;v=1", "https", "https://host/a/b"),
        ("https://me:p@ss@host/a", "https", "https://host/a"),
    ],
)
def test_a_place_is_shown_without_secrets(text: str, scheme: str, shown: str) -> None:
    place = Place.parse(text)
    assert (place.scheme, str(place), place.url) == (scheme, shown, text)
    assert "hunter" not in repr(place)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me:hun/ter@host/db",
        "https://me:hun#ter@host/a",
        "https://[hunter/a",
        "http:/me:hunter2@host/a",
        "https:\\\\me:hunter2@host/a",
    ],
)
def test_a_malformed_url_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(UsageError, match="cannot be parsed") as raised:
        Place.parse(text)
    assert "hun" not in str(raised.value)


def test_places_that_are_shown_alike_are_equal() -> None:
    assert Place.parse("postgresql://a:b@host/db") == Place.parse("postgresql://c:d@host/db")
    assert Place.parse("postgresql://host/db") != Place.parse("postgresql://host/other")


@pytest.mark.parametrize(
    ("text", "anchored"),
    [
        ("lake", "/config/lake"),
        ("/lake", "/lake"),
        ("duckdb:taxi.duckdb", "duckdb:/config/taxi.duckdb"),
        ("duckdb:/taxi.duckdb", "duckdb:/taxi.duckdb"),
        ("duckdb::memory:", "duckdb::memory:"),
        ("gs://bucket", "gs://bucket"),
    ],
)
def test_relative_paths_count_from_the_folder_given(text: str, anchored: str) -> None:
    assert str(Place.parse(text).anchored(Path("/config"))) == anchored


@pytest.mark.parametrize("prefix", ["", "duckdb:"])
def test_a_resolved_path_is_whole(prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to("here")
    monkeypatch.chdir(tmp_path)
    for written in ("here/taxi", "./here/../link/taxi", str(tmp_path / "link" / "taxi")):
        assert str(Place.parse(prefix + written).resolved()) == f"{prefix}{tmp_path.resolve()}/here/taxi"
    assert str(Place.parse("gs://bucket/here").resolved()) == "gs://bucket/here"


def test_a_duckdb_address_with_a_hidden_part_is_refused() -> None:
    with pytest.raises(UsageError, match="without user") as raised:
        open_warehouse(Place.parse("duckdb://me:hunter2@host/taxi.duckdb"))
    assert "hunter" not in str(raised.value)


def test_a_template_with_a_secret_in_braces_is_refused_without_showing_it() -> None:
    with pytest.raises(UsageError, match="only") as raised:
        check_source(Place.parse("http://me:{hunter2}@host/{month}.csv"), [Part("yellow", "2021-01")])
    assert "hunter" not in str(raised.value)


POSTGRES = "postgresql://anna_the_role:hunter2-secret@db.example:5433/taxi"


def test_of_an_address_of_postgres_only_what_names_the_place_is_shown() -> None:
    place = Place.parse(f"{POSTGRES}?sslmode=require&schema=nyc_taxi&password=other-secret")
    assert place.shown == "postgresql://db.example:5433/taxi?schema=nyc_taxi"
    assert Place.parse(f"{POSTGRES}?schema=nyc_taxi") == place != Place.parse(f"{POSTGRES}?schema=other")


@pytest.mark.parametrize("url", ["postgresql://", "postgresql:///taxi", "postgresql:///?service=taxi"])
def test_an_address_without_a_host_is_shown_as_it_is(url: str) -> None:
    assert Place.parse(url).shown == url


def test_messages_of_postgres_lose_the_password_and_keep_role_schema_and_files() -> None:
    Place.parse(f"{POSTGRES}?sslmode=verify-full&sslrootcert=/etc/ca.crt&schema=nyc_taxi")
    kept = 'role "anna_the_role" may not use schema nyc_taxi; verify-full needs /etc/ca.crt'
    assert redacted(f"{kept}: hunter2-secret") == f"{kept}: …"


def test_a_password_that_is_a_word_of_every_message_leaves_the_message_whole() -> None:
    Place.parse("postgresql://postgres:postgres@localhost/taxi")
    message = "postgresql://localhost/taxi is PostgreSQL, and postgres is its role"
    assert redacted(message) == message
