"""The parameters of a Postgres address: taken as libpq takes them, and told in its words where they are wrong."""

from __future__ import annotations

import pytest
from postgres_server import PostgresServer

from taxi_ingest.errors import UsageError
from taxi_ingest.place import Place
from taxi_ingest.warehouses import open_warehouse

PASSWORDS = {"two%20words": "two words", "one+two": "one+two", "50%25%26more%3D": "50%&more="}


@pytest.mark.parametrize("written", PASSWORDS)
def test_a_password_in_the_query_is_read_as_libpq_reads_it(postgres_server: PostgresServer, written: str) -> None:
    database, role = postgres_server.database(), f"r{written.encode().hex()}"
    with postgres_server.connect() as db:
        db.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORDS[written]}'")
    url = f"postgresql://127.0.0.1:{postgres_server.port}/{database}?user={role}&schema=public&password={written}"
    assert open_warehouse(Place.parse(url)).held("trips") == {"trips": {}}


def test_spaces_of_a_parameter_reach_the_server(postgres_server: PostgresServer) -> None:
    more = "?options=-c%20search_path%3Dnothing,public&application_name=every%20night"
    url = postgres_server.url(postgres_server.database(), more=more)
    checks = list(open_warehouse(Place.parse(url)).checks(Place.parse("lake")))
    assert ([check.ok for check in checks[:2]], "schema public" in checks[1].sentence) == ([True, True], True)


@pytest.mark.parametrize("encoding", ["utf8", "latin1"])
def test_an_encoding_in_the_address_is_in_nobodys_way(postgres_server: PostgresServer, encoding: str) -> None:
    url = postgres_server.url(postgres_server.database(), more=f"?client_encoding={encoding}")
    assert open_warehouse(Place.parse(url)).held("trips") == {"trips": {}}


WRONG = {
    "sslmode=bogus": 'invalid sslmode value: "bogus"',
    "ssl_min_protocol_version=bogus": 'invalid "ssl_min_protocol_version" value: "bogus"',
    "target_session_attrs=bogus": 'invalid target_session_attrs value: "bogus"',
    "connect_timeout=abc": "bad value for connect_timeout: 'abc'",
    "keepalives=abc": 'invalid integer value "abc" for connection option "keepalives"',
    "hostaddr=bogus": 'could not parse network address "bogus"',
    "hostaddr=127.0.0.1,127.0.0.2": "could not match 1 host names with 2 hostaddr values",
    "options=-cwork_mem%3Dabc": 'invalid value for parameter "work_mem": "abc"',
    "options=-cbogus%3D1": 'unrecognized configuration parameter "bogus"',
    "port=abc": 'invalid integer value "abc" for connection option "port"',
    "port=99999": 'invalid port number: "99999"',
}


@pytest.mark.parametrize("parameter", WRONG)
def test_a_wrong_parameter_is_told_in_the_words_of_libpq(postgres_server: PostgresServer, parameter: str) -> None:
    sentence = told(postgres_server.url("postgres", more=f"?{parameter}"))
    assert (WRONG[parameter] in sentence, "Run again" in sentence) == (True, False)


@pytest.mark.parametrize("host", ["h" * 64 + ".example", "a..b", "h" * 300])
def test_a_host_that_cannot_exist_is_a_sentence(host: str) -> None:
    for url in (f"postgresql://u@{host}/db", f"postgresql:///db?host={host}"):
        assert "has a host that cannot exist" in told(url)


def told(url: str) -> str:
    """The sentence with which both a use of the warehouse and its checks refuse the address."""
    warehouse = open_warehouse(Place.parse(url))
    with pytest.raises(UsageError) as raised:
        warehouse.held("trips")
    assert [check.sentence for check in warehouse.checks(Place.parse("lake"))] == [str(raised.value)]
    return str(raised.value)
