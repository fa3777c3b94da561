"""Where in Postgres a warehouse is: a URL of libpq, and the schema that `?schema=` names."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from taxi_ingest.errors import UsageError
from taxi_ingest.place import Place

_GRAMMAR = (
    "Write postgresql://USER@HOST:PORT/DATABASE, followed by ?schema=NAME or by parameters of libpq, such as "
    "sslmode=require, if you need them. What is left out comes from PGHOST, PGUSER and so on, the password from "
    "~/.pgpass."
)
_LONGEST_NAME = 63


@dataclass(frozen=True)
class Address:
    """What libpq connects with, secrets included, and the schema; "" is the first one of the search_path."""

    parameters: dict[str, str] = field(repr=False)
    schema: str = ""

    @property
    def public_parameters(self) -> dict[str, str]:
        """The parameters that name the server, the database and the user."""
        names = ("host", "port", "dbname", "user", "service")
        return {name: self.parameters[name] for name in names if name in self.parameters}


def parse_address(place: Place) -> Address:
    """The address in `postgresql://…`. Raises UsageError, showing no part of the query, which may hold a password."""
    if not place.has_host:
        raise UsageError(f"'{place}' is not a database. {_GRAMMAR}")
    parts = urlsplit(place.url)
    named = [pair for pair in parts.query.split("&") if _is_schema(pair)]
    schemas = [value for pair in named for _, value in parse_qsl(pair, keep_blank_values=True)]
    # as they were written: libpq takes a + for itself, where forms of the web mean a space
    others = "&".join(pair for pair in parts.query.split("&") if pair and not _is_schema(pair))
    # without a host, urlunsplit would leave out the //
    rest = urlunsplit(("", "", parts.path, others, parts.fragment))
    try:
        parameters = conninfo_to_dict(f"postgresql://{parts.netloc}{rest}")
    except (psycopg.Error, UnicodeError):
        raise UsageError(f"'{place}' has something that libpq does not understand. {_GRAMMAR}") from None
    return Address({name: str(value) for name, value in parameters.items()}, _schema(place, schemas))


def _is_schema(pair: str) -> bool:
    return unquote(pair.partition("=")[0]) == "schema"


def _schema(place: Place, named: list[str]) -> str:
    if not named:
        return ""
    name = named[0]
    if len(named) > 1 or not name.isprintable() or not 0 < len(name.encode(errors="replace")) <= _LONGEST_NAME:
        raise UsageError(f"'{place}' names no schema that can exist: up to {_LONGEST_NAME} bytes of text. {_GRAMMAR}")
    return name
