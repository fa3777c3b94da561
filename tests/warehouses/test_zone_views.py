"""The views of trips with the names of their zones, in every kind of warehouse that has a server or a file here."""

from __future__ import annotations

import re
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import DATA, Command
from emulators.servers import BUCKET, PROJECT
from postgres_server import ADMIN, ADMIN_PASSWORD, PostgresServer

from taxi_ingest.catalog.reading import dataset, datasets
from taxi_ingest.place import Place
from taxi_ingest.warehouses import Options, Table, Warehouse, open_warehouse, table_of
from taxi_ingest.warehouses.zone_views import views_over

VIEW = "yellow_trips_with_zones"
MONTH = "2021-01"
ZONES = [(1, "EWR", "Newark Airport"), (4, "Manhattan", "Alphabet City")]
TRIPS = [(1, 4), (4, 4), (263, 1), (None, None)]
NAMED = [
    (1, "EWR", "Newark Airport", "Manhattan", "Alphabet City"),
    (4, "Manhattan", "Alphabet City", "Manhattan", "Alphabet City"),
    (263, None, None, "EWR", "Newark Airport"),
    (None, None, None, None, None),
]
NAMES = f"SELECT PULocationID, pickup_borough, pickup_zone, dropoff_borough, dropoff_zone FROM {VIEW}"
TYPES = {"int64": pa.int64(), "timestamp": pa.timestamp("us"), "double": pa.float64(), "string": pa.string()}


@dataclass
class City:
    """A warehouse that trips and zones are loaded into. `told` is what it announced."""

    url: str
    folder: Path
    ask: Callable[[str], list[tuple[Any, ...]]]
    method: str = ""
    hand_over: Callable[[Path], str] = str
    told: list[str] = field(default_factory=list)

    def opened(self, method: str = "") -> Warehouse:
        """The warehouse, as a new run opens it."""
        return open_warehouse(
            Place.parse(self.url), Options(method=method or self.method, announce=self.told.append, lock_timeout=1)
        )

    def load_trips(
        self, trips: Sequence[tuple[int | None, int | None]] = TRIPS, *, name: str = "yellow", method: str = ""
    ) -> None:
        known = dataset(name)
        locations = dict(zip(known.locations, zip(*trips, strict=True), strict=True))
        self._load(table_of(known), MONTH, len(trips), locations, method)

    def load_zones(self, zones: Sequence[tuple[int, str, str]] = ZONES, *, method: str = "") -> None:
        columns = dict(zip(("LocationID", "Borough", "Zone"), zip(*zones, strict=True), strict=True))
        self._load(table_of(dataset("zones")), None, len(zones), columns, method)

    def _load(
        self, table: Table, month: str | None, rows: int, values: dict[str, tuple[Any, ...]], method: str
    ) -> None:
        columns = {c.name: pa.array(values.get(c.name, [None] * rows), TYPES[c.type]) for c in table.columns}
        if month:
            columns["file_month"] = pa.array([date.fromisoformat(f"{month}-01")] * rows, pa.date32())
        path = self.folder / f"{table.name}_{month}_{uuid.uuid4().hex}.parquet"
        pq.write_table(pa.table(columns), path)
        file = self.hand_over(path)
        loaded = self.opened(method).replace(table, month, file=file, rows=rows, mark=path.name, source="csv")
        assert loaded == rows

    def names(self) -> list[tuple[Any, ...]]:
        return sorted(self.ask(NAMES), key=lambda row: row[0] or 999)

    def has_view(self) -> bool:
        try:
            self.ask(NAMES)
        except Exception:  # noqa: BLE001 - each kind has its own
            return False
        return True


@pytest.fixture
def in_duckdb(tmp_path: Path) -> City:
    file = tmp_path / "w.duckdb"

    def ask(sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(file)) as db:
            return db.execute(sql).fetchall()

    return City(f"duckdb:{file}", tmp_path, ask)


@pytest.fixture
def in_postgres(postgres_server: PostgresServer, tmp_path: Path) -> City:
    url = postgres_server.url(postgres_server.database())

    def ask(sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(url, autocommit=True) as db:
            found = db.execute(sql)  # type: ignore[arg-type]
            return found.fetchall() if found.description else []

    return City(url, tmp_path, ask)


@pytest.fixture
def in_bigquery(gcs_server: str, bigquery_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> City:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server)
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery_server)
    client = bigquery.Client(project=PROJECT, credentials=AnonymousCredentials())
    name = f"taxi_{uuid.uuid4().hex}"

    def ask(sql: str) -> list[tuple[Any, ...]]:
        config = bigquery.QueryJobConfig(default_dataset=f"{PROJECT}.{name}")
        return [tuple(row.values()) for row in client.query_and_wait(sql, job_config=config)]

    def hand_over(path: Path) -> str:
        where = f"{gcs_server}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={name}/{path.name}"
        urllib.request.urlopen(urllib.request.Request(where, path.read_bytes())).close()
        return f"gs://{BUCKET}/{name}/{path.name}"

    return City(f"bigquery://{PROJECT}/{name}", tmp_path, ask, "merge", hand_over)


@pytest.fixture(params=["duckdb", "external", "postgres", "bigquery"])
def city(request: pytest.FixtureRequest) -> City:
    kind = "duckdb" if request.param == "external" else request.param
    found: City = request.getfixturevalue(f"in_{kind}")
    if request.param == "external":
        found.method = "external"
    return found


def test_the_view_has_every_trip_once_with_the_names_of_its_zones(city: City) -> None:
    city.load_trips()
    assert not city.has_view()
    city.load_zones()
    assert (city.names(), city.told) == (NAMED, [])


def test_the_view_appears_with_the_trips_where_the_zones_came_first(city: City) -> None:
    city.load_zones()
    assert not city.has_view()
    city.load_trips()
    assert (city.names(), city.told) == (NAMED, [])


def test_a_month_and_zones_that_are_loaded_again_show_in_the_view(city: City) -> None:
    city.load_zones()
    city.load_trips()
    city.load_trips(TRIPS[:1])
    city.load_zones([(1, "EWR", "Airport"), *ZONES[1:]])
    assert city.names() == [(1, "EWR", "Airport", "Manhattan", "Alphabet City")]


def test_a_zone_that_stands_twice_doubles_no_trip(city: City) -> None:
    city.load_zones([*ZONES, (4, "Manhattan", "Loisaida")])
    city.load_trips()
    assert [row[0] for row in city.names()] == [1, 4, 263, None]


def test_a_view_that_somebody_dropped_comes_back_with_the_next_load(city: City) -> None:
    city.load_zones()
    city.load_trips()
    city.ask(f"DROP VIEW {VIEW}")
    city.load_trips()
    assert city.names() == NAMED


def test_views_are_made_without_a_load_where_a_killed_one_did_not_come_to_it(city: City) -> None:
    city.load_zones()
    city.load_trips()
    for name in ("yellow", "zones"):
        city.ask(f"DROP VIEW {VIEW}")
        city.opened().make_views(table_of(dataset(name)))
        assert (city.names(), city.told) == (NAMED, [])


def test_what_somebody_else_made_of_that_name_is_left_and_told(city: City) -> None:
    city.load_zones()
    city.ask(f"CREATE VIEW {VIEW} AS SELECT 7 AS mine")
    city.load_trips()
    assert city.ask(f"SELECT * FROM {VIEW}") == [(7,)]
    (told,) = city.told
    assert f"has a {VIEW} that taxi-ingest did not make. It was left as it is." in told


@pytest.mark.parametrize("kind", ["in_duckdb", "in_postgres"])  # in BigQuery, a label tells whose it is
def test_a_view_whose_owner_speaks_of_us_in_its_comment_is_left(request: pytest.FixtureRequest, kind: str) -> None:
    city: City = request.getfixturevalue(kind)
    city.load_zones()
    city.ask(f"CREATE VIEW {VIEW} AS SELECT 7 AS mine")
    city.ask(f"COMMENT ON VIEW {VIEW} IS 'A view of taxi-ingest trips for my dashboard'")
    city.load_trips()
    assert city.ask(f"SELECT * FROM {VIEW}") == [(7,)]


@pytest.mark.parametrize("name", [name for name, known in datasets().items() if known.locations])
def test_every_dataset_of_trips_has_its_view(in_duckdb: City, name: str) -> None:
    in_duckdb.load_zones()
    in_duckdb.load_trips(name=name)
    found = in_duckdb.ask(f"SELECT pickup_zone FROM {name}_trips_with_zones ORDER BY 1")
    assert found == [("Alphabet City",), ("Newark Airport",), (None,), (None,)]


def test_a_view_has_all_columns_of_its_trips_in_their_order() -> None:
    views = views_over(table_of(dataset("zones")))
    assert {view.name for view in views} == {f"{name}_trips_with_zones" for name in ("yellow", "green", "fhv", "fhvhv")}
    for view in views:
        columns = view.select(str, str).partition(" FROM ")[0].removeprefix("SELECT ").split(", ")
        names = [column.rpartition(" AS ")[2].removeprefix("trips.") for column in columns]
        assert tuple(names[:-6]) == view.trips.column_names
        assert len({name.lower() for name in names}) == len(names)


def test_a_table_that_becomes_a_view_and_a_table_again_stays_under_the_names(in_duckdb: City) -> None:
    in_duckdb.load_zones()
    for method in ("table", "external", "table"):
        in_duckdb.load_trips(method=method)
        assert in_duckdb.names() == NAMED
    for method in ("external", "table"):
        in_duckdb.load_zones(method=method)
        assert in_duckdb.names() == NAMED


def test_a_view_that_cannot_be_made_is_told_and_the_month_is_loaded(in_duckdb: City) -> None:
    in_duckdb.load_zones()
    in_duckdb.ask("ALTER TABLE taxi_zone_lookup DROP COLUMN service_zone")
    in_duckdb.load_trips()
    (told,) = in_duckdb.told
    assert f"the rows were loaded, but not the view {VIEW} made" in told
    assert "\n" not in told
    assert in_duckdb.ask("SELECT count(*) FROM yellow_tripdata") == [(4,)]


def test_the_verbs_take_the_view_for_no_month_and_no_orphan(taxi: Command) -> None:
    template = f"{DATA.as_uri()}/{{dataset}}_tripdata_{{month}}.csv"
    yellow = ("--dataset", "yellow", "--month", "2020-01", "--source", template)
    zones = ("--dataset", "zones", "--source", f"{DATA.as_uri()}/taxi_zone_lookup.csv")
    for part in (zones, yellow):
        assert taxi("run", *part).code == 0
    assert taxi("run", *yellow, "--json").steps[0]["load"] == "up_to_date"
    asked = taxi("query", f"SELECT count(*) AS trips, count(pickup_zone) AS named FROM {VIEW}", "--json")
    assert asked.document == [{"trips": 999, "named": 999}]
    for verb in (["verify"], ["doctor"], ["status"], ["rows"]):
        ran = taxi(*verb)
        assert (ran.code, VIEW in ran.out + ran.err) == (0, False)
    assert "Nothing to remove" in taxi("clean", "--orphans", "--yes").out


SIGNED = f"COMMENT ON VIEW {VIEW} IS 'Older. A view of taxi-ingest (0123456789abcdef).'"


@pytest.mark.parametrize("older", ["", f"DROP VIEW {VIEW}; CREATE VIEW {VIEW} AS SELECT 1 AS pickup_zone; "])
def test_an_older_view_of_ours_is_made_anew_and_keeps_its_grants(in_postgres: City, older: str) -> None:
    in_postgres.load_zones()
    in_postgres.load_trips()
    in_postgres.ask(f"{older}{SIGNED}; GRANT SELECT ON {VIEW} TO pg_monitor")
    in_postgres.load_trips()
    assert in_postgres.names() == NAMED
    assert in_postgres.ask(f"SELECT has_table_privilege('pg_monitor', '{VIEW}', 'SELECT')") == [(True,)]
    assert in_postgres.told == []


def test_a_reader_of_the_view_sees_no_row_that_the_table_hides(
    in_postgres: City, postgres_server: PostgresServer
) -> None:
    name = in_postgres.url.rpartition("/")[2]
    reader = f"reader_{name}"
    with postgres_server.connect(name) as db:
        db.execute(f"CREATE ROLE {reader} LOGIN PASSWORD 'r'")  # type: ignore[arg-type]
    in_postgres.load_zones()
    in_postgres.load_trips()
    in_postgres.ask(
        f"GRANT SELECT ON {VIEW}, yellow_tripdata, taxi_zone_lookup TO {reader}; "
        "ALTER TABLE yellow_tripdata ENABLE ROW LEVEL SECURITY; "
        "CREATE POLICY of_one_zone ON yellow_tripdata USING (pulocationid = 4)"
    )
    in_postgres.load_trips()
    with psycopg.connect(postgres_server.url(name, user=reader, password="r")) as db:
        assert db.execute(f"SELECT pickup_zone FROM {VIEW}").fetchall() == [("Alphabet City",)]  # type: ignore[arg-type]


def test_a_view_that_is_as_it_should_be_is_not_made_again(in_postgres: City) -> None:
    written = f"SELECT xmin::text FROM pg_description WHERE objoid = '{VIEW}'::regclass AND objsubid = 0"
    in_postgres.load_zones()
    in_postgres.load_trips()
    before = in_postgres.ask(written)
    in_postgres.load_trips()
    assert in_postgres.ask(written) == before


def test_the_view_leaves_a_table_that_was_renamed_for_the_one_that_has_its_name(in_postgres: City) -> None:
    in_postgres.load_zones([(4, "Manhattan", "Old name")])
    in_postgres.load_trips()
    in_postgres.ask("ALTER TABLE taxi_zone_lookup RENAME TO old_zones")
    in_postgres.load_zones()
    assert in_postgres.names() == NAMED


def test_a_view_that_somebody_edited_in_place_is_left_and_told(in_postgres: City) -> None:
    in_postgres.load_zones()
    in_postgres.load_trips()
    ((ours,),) = in_postgres.ask(f"SELECT pg_get_viewdef('{VIEW}'::regclass)")
    in_postgres.ask(f"CREATE OR REPLACE VIEW {VIEW} AS {ours.rstrip(';')} WHERE trips.pulocationid = 4")
    for load in (in_postgres.load_trips, in_postgres.load_zones):
        load()
        assert [row[0] for row in in_postgres.names()] == [4]
    assert {told.partition(". ")[0] for told in in_postgres.told} == {
        f"{Place.parse(in_postgres.url)}: the view {VIEW} was changed since it was made"
    }


def test_a_view_that_the_server_words_otherwise_is_made_anew(in_postgres: City) -> None:
    in_postgres.load_zones()
    in_postgres.load_trips()
    comment = f"obj_description('{VIEW}'::regclass)"
    ((before,),) = in_postgres.ask(f"SELECT {comment}")
    of_another_server = re.sub(r"shown as [0-9a-f]{16}", f"shown as {'0' * 16}", before)
    in_postgres.ask(f"COMMENT ON VIEW {VIEW} IS '{of_another_server}'")
    in_postgres.load_trips()
    assert (in_postgres.ask(f"SELECT {comment}"), in_postgres.told) == ([(before,)], [])


@pytest.mark.parametrize("way", ["SET search_path = nowhere", "SET search_path = public"])
def test_a_view_is_known_as_ours_whatever_the_search_path_is(in_postgres: City, way: str) -> None:
    in_postgres.load_zones()
    in_postgres.load_trips()
    in_postgres.url += "?schema=public"
    in_postgres.ask(f"ALTER DATABASE {in_postgres.url.rpartition('/')[2].partition('?')[0]} {way}")
    in_postgres.load_trips()
    assert in_postgres.told == []


def test_a_view_of_another_owner_is_told_and_the_month_is_loaded(
    in_postgres: City, postgres_server: PostgresServer
) -> None:
    in_postgres.load_zones()
    in_postgres.load_trips()
    url = postgres_server.url(in_postgres.url.rpartition("/")[2], user=ADMIN, password=ADMIN_PASSWORD)
    with psycopg.connect(url) as db:
        db.execute(f"{SIGNED}; ALTER VIEW {VIEW} OWNER TO {ADMIN}")  # type: ignore[arg-type]
    in_postgres.load_trips(TRIPS[:2])
    (told,) = in_postgres.told
    assert f"not the view {VIEW} made" in told
    assert in_postgres.ask("SELECT count(*) FROM yellow_tripdata") == [(2,)]
