"""Settings: built-in defaults < config.toml < TAXI_INGEST_<SECTION>__<KEY> < flags.

`read()` gives one frozen `Settings` with the origin of every value. Only `cli` and `dodo` read settings; `job` turns
them into plain values for everything below.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from taxi_ingest.errors import UsageError
from taxi_ingest.graph import ARTEFACTS
from taxi_ingest.place import Place
from taxi_ingest.redaction import public_text, remember
from taxi_ingest.retrying import LONGEST_WAIT
from taxi_ingest.values import Form, Kind, OneOf, Range, Value, quoted

ENVIRONMENT_PREFIX = "TAXI_INGEST_"
CONFIG_VARIABLE = "TAXI_INGEST_CONFIG"
DEFAULT_FILE = "config.toml"

_LABEL = r"[a-z][a-z0-9_-]{0,62}=[a-z0-9_-]{0,63}"
_AtOnce = Annotated[int, Range(1, 64)]
_Tries = Annotated[int, Range(1, 100)]
_Backoff = Annotated[float, Range(0, int(LONGEST_WAIT))]
_Days = Annotated[int, Range(0, 36_500)]


@dataclass(frozen=True)
class Origin:
    """Where a value came from; `name` is the file or the environment variable."""

    kind: Literal["default", "file", "environment", "flag"] = "default"
    name: str = ""

    @property
    def is_of_this_invocation(self) -> bool:
        """Whether the value was given by a flag or in the environment, and does not lie in a file."""
        return self.kind in {"flag", "environment"}

    def __str__(self) -> str:
        return self.name or self.kind


@dataclass(frozen=True)
class Global:
    """Where things go, and how a run behaves."""

    data_dir: str = "./data"
    source: str = "auto"
    store: str = ""
    warehouse: str = ""
    keep: Annotated[tuple[str, ...], OneOf(ARTEFACTS)] = ARTEFACTS
    check_disk: bool = True
    jobs: _AtOnce = 4
    strict: bool = False
    wait: bool = False
    quiet: bool = False
    history_days: _Days = 400


@dataclass(frozen=True)
class Shared:
    """What to work on, for all steps alike."""

    dataset: str = ""
    month: str = "2021-01"


@dataclass(frozen=True)
class Download:
    """Parameters of the download step."""

    at_once: _AtOnce = 2
    tries: _Tries = 5
    backoff_seconds: _Backoff = 1.0
    timeout_seconds: Annotated[float, Range(0.1, 3600)] = 60.0
    slowest_bytes_per_second: Annotated[float, Range(1, 1_000_000_000)] = 1000.0
    grace_days: _Days = 120
    refresh_months: Annotated[int, Range(0, 10_000)] = 0


@dataclass(frozen=True)
class Parquetize:
    """Parameters of the parquetize step."""

    at_once: _AtOnce = 1
    compression: Annotated[str, OneOf(("zstd", "snappy", "gzip", "none"))] = "zstd"
    compression_level: Annotated[int, Range(1, 22)] = 3
    row_group_rows: Annotated[int, Range(1, 100_000_000)] = 131072
    max_rejects: Annotated[float, Range(0, 1)] = 0.001
    allow_empty: bool = False


@dataclass(frozen=True)
class Upload:
    """Parameters of the upload step."""

    at_once: _AtOnce = 2
    tries: _Tries = 3
    backoff_seconds: _Backoff = 1.0


@dataclass(frozen=True)
class Load:
    """Parameters of the load step."""

    method: Annotated[str, OneOf(("table", "external", "partition", "merge"))] = "table"
    memory_limit_mb: Annotated[int, Range(100, 1_000_000)] = 200
    labels: Annotated[tuple[str, ...], Form(_LABEL, "each key=value in lower-case letters, digits, _ and -")] = ()
    maximum_bytes_billed: Annotated[int, Range(0, 10**15)] = 20_000_000_000
    tries: _Tries = 3
    backoff_seconds: _Backoff = 1.0


@dataclass(frozen=True)
class Demo:
    """The built-in publisher of made-up months."""

    rows: Annotated[int, Range(1, 5_000_000)] = 200_000
    seed: Annotated[int, Range(0, 999_999_999)] = 1


@dataclass(frozen=True)
class Operate:
    """Who is told how a run ended."""

    on_failure: str = ""
    ping_url: str = ""
    metrics_file: str = ""


@dataclass(frozen=True)
class Settings:
    """All settings in force. `origins` tells where each came from; a setting without an entry has its default."""

    global_: Global = field(default_factory=Global)
    shared: Shared = field(default_factory=Shared)
    download: Download = field(default_factory=Download)
    parquetize: Parquetize = field(default_factory=Parquetize)
    upload: Upload = field(default_factory=Upload)
    load: Load = field(default_factory=Load)
    operate: Operate = field(default_factory=Operate)
    demo: Demo = field(default_factory=Demo)
    origins: Mapping[str, Origin] = field(default_factory=dict)

    def items(self) -> list[tuple[str, Value, Origin]]:
        """Every setting as (name, value, origin), in the order of config.toml."""
        return [
            (
                f"{section}.{f.name}",
                getattr(values, f.name),
                self.origins.get(f"{section}.{f.name}", Origin()),
            )
            for section, attribute in SECTIONS.items()
            for values in [getattr(self, attribute)]
            for f in dataclasses.fields(values)
        ]


SECTIONS = {f.name.rstrip("_"): f.name for f in dataclasses.fields(Settings) if f.name != "origins"}
"""Section as it is written → attribute of Settings (`global` is a Python keyword)."""

_PATHS = {"global.data_dir", "global.store", "global.warehouse", "operate.metrics_file"}


def read(flags: Mapping[str, Value], *, config: str | Mapping[str, Any] | None = None) -> Settings:
    """The settings in force.

    `flags` maps names such as "global.jobs" to values given on the command line; `config` is a path given by flag, or
    the sections of a config file, for which no file is looked for.
    Raises UsageError for an unknown section or key, naming the nearest, and for a value that the setting cannot have.
    """
    values: dict[str, Value] = {}
    origins: dict[str, Origin] = {}
    for origin, folder, layer in (
        *_file_layer(config),
        *_environment_layers(),
        (Origin("flag"), Path(), dict(flags)),
    ):
        for name, raw in layer.items():
            for text in _texts(raw):
                remember(text)
            values[name] = _anchored(name, _typed(name, raw, origin), folder)
            origins[name] = origin
    sections = {
        attribute: {n.partition(".")[2]: v for n, v in values.items() if n.partition(".")[0] == section}
        for section, attribute in SECTIONS.items()
    }
    hints = get_type_hints(Settings)
    return Settings(origins=origins, **{a: hints[a](**keys) for a, keys in sections.items()})


def config_named(config: str | None) -> str | None:
    """The config file that was named, by the flag `config` or in the environment; None: ./config.toml, if any."""
    return config or os.environ.get(CONFIG_VARIABLE)


def _file_layer(config: str | Mapping[str, Any] | None) -> list[tuple[Origin, Path, dict[str, Any]]]:
    if isinstance(config, Mapping):
        return [(Origin("file", "the config given"), Path(), _by_name(config, "the config given"))]
    given = config_named(config)
    remember(given or "")
    path = Path(given or DEFAULT_FILE)
    if not path.is_file():
        if given:
            raise UsageError(
                f"The config file {public_text(given)} does not exist. Name one that does, or leave --config out."
            )
        return []
    return [(Origin("file", str(path)), path.resolve().parent, _by_name(_tables(path), str(path)))]


def _by_name(tables: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """The values of a config's sections by their full names."""
    layer: dict[str, Any] = {}
    for section, keys in tables.items():
        if not isinstance(keys, dict):
            raise UsageError(f"{origin}: {quoted(section)} stands outside a section. Sections: {', '.join(SECTIONS)}.")
        layer |= {f"{section}.{key}": value for key, value in keys.items()}
    return layer


def _tables(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise UsageError(f"{path} cannot be read: its lists or tables are nested too deeply. Write it flat.") from None
    except ValueError as error:  # bad TOML, bytes that are not UTF-8, or a number of thousands of digits
        raise UsageError(f"{path} is not TOML: {error}.") from error


def _environment_layers() -> list[tuple[Origin, Path, dict[str, str]]]:
    return [
        (
            Origin("environment", variable),
            Path(),
            {variable.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".", 1): value},
        )
        for variable, value in os.environ.items()
        if variable.startswith(ENVIRONMENT_PREFIX) and "__" in variable
    ]


def given_explicitly(settings: Settings, name: str) -> bool:
    """Whether a setting was given for this very invocation: by a flag or in the environment."""
    return settings.origins.get(name, Origin()).is_of_this_invocation


def environment_name(name: str) -> str:
    """The environment variable of a setting: "global.jobs" → "TAXI_INGEST_GLOBAL__JOBS"."""
    return ENVIRONMENT_PREFIX + name.replace(".", "__").upper()


def shown(value: Value) -> Value:
    """The value of a setting as it may be shown: an address without its secrets, everything else as it is."""
    if isinstance(value, tuple):
        return tuple(map(public_text, value))
    return public_text(value) if isinstance(value, str) else value


@functools.cache
def _known() -> dict[str, Kind]:
    hints = get_type_hints(Settings)
    return {
        f"{section}.{key}": Kind.of(hint)
        for section, attribute in SECTIONS.items()
        for key, hint in get_type_hints(hints[attribute], include_extras=True).items()
    }


def _typed(name: str, raw: Any, origin: Origin) -> Value:
    known = _known()
    if name not in known:
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f" Did you mean '{nearest[0]}'?" if nearest else f" Settings: {', '.join(known)}."
        raise UsageError(f"{origin}: there is no setting {quoted(name)}.{hint}")
    kind = known[name]
    try:
        return kind.parsed(raw) if origin.kind == "environment" else kind.checked(raw)
    except ValueError:
        in_words = kind.is_list and origin.kind == "environment"
        how = " Write the texts with commas between them, and an empty list as nothing." if in_words else ""
        raise UsageError(f"{origin}: {name} must be {kind}, not {_as_shown(raw)}.{how}") from None


def _as_shown(raw: Any) -> str:
    """A value that a setting cannot have, as a message may quote it."""
    if isinstance(raw, list) and all(isinstance(item, str) for item in raw):
        return quoted([shown(item) for item in raw])
    return quoted(shown(raw)) if isinstance(raw, str | int | float) else f"a {type(raw).__name__}"


def _texts(raw: Any) -> Iterator[str]:
    """The texts in a value of TOML, each of which may be an address."""
    if isinstance(raw, str):
        yield raw
    elif isinstance(raw, list | tuple | dict):
        for item in raw.values() if isinstance(raw, dict) else raw:
            yield from _texts(item)


def _anchored(name: str, value: Value, folder: Path) -> Value:
    """Paths in a config file count from its folder; those of flags and environment from the current one."""
    if name not in _PATHS or not isinstance(value, str) or not value or folder == Path():
        return value
    return Place.parse(value).anchored(folder).url
