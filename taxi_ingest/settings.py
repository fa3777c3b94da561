"""Settings: built-in defaults < config.toml < TAXI_INGEST_<SECTION>__<KEY> < flags.

`read()` gives one frozen `Settings` with the origin of every value. Only `cli` and `dodo` read settings; `job` turns
them into plain values for everything below.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from taxi_ingest.errors import UsageError
from taxi_ingest.place import Place
from taxi_ingest.redaction import public_text, remember

ENVIRONMENT_PREFIX = "TAXI_INGEST_"
CONFIG_VARIABLE = "TAXI_INGEST_CONFIG"
DEFAULT_FILE = "config.toml"

Value = str | int | float | bool | tuple[str, ...]


@dataclass(frozen=True)
class Global:
    """Where things go, and how a run behaves."""

    data_dir: str = "./data"
    source: str = "auto"
    store: str = ""
    warehouse: str = ""
    keep: tuple[str, ...] = ("parquet",)
    jobs: int = 4
    strict: bool = False
    wait: bool = False
    quiet: bool = False
    history_days: int = 400


@dataclass(frozen=True)
class Shared:
    """What to work on, for all steps alike."""

    dataset: str = ""
    month: str = "2021-01"


@dataclass(frozen=True)
class Download:
    """Parameters of the download step."""

    at_once: int = 2
    tries: int = 5
    backoff_seconds: float = 1.0
    timeout_seconds: float = 60.0
    slowest_bytes_per_second: float = 1000.0
    grace_days: int = 120


@dataclass(frozen=True)
class Parquetize:
    """Parameters of the parquetize step."""

    at_once: int = 1
    compression: str = "zstd"
    compression_level: int = 3
    row_group_rows: int = 131072
    max_rejects: float = 0.001
    allow_empty: bool = False


@dataclass(frozen=True)
class Upload:
    """Parameters of the upload step."""

    at_once: int = 2
    tries: int = 3
    backoff_seconds: float = 1.0


@dataclass(frozen=True)
class Load:
    """Parameters of the load step."""

    method: str = "partition"
    tries: int = 3
    backoff_seconds: float = 1.0


@dataclass(frozen=True)
class Demo:
    """The built-in publisher of made-up months."""

    rows: int = 200_000
    seed: int = 1


@dataclass(frozen=True)
class Settings:
    """All settings in force, and where each came from: origins["global.jobs"] = "default" | file | variable | flag."""

    global_: Global = field(default_factory=Global)
    shared: Shared = field(default_factory=Shared)
    download: Download = field(default_factory=Download)
    parquetize: Parquetize = field(default_factory=Parquetize)
    upload: Upload = field(default_factory=Upload)
    load: Load = field(default_factory=Load)
    demo: Demo = field(default_factory=Demo)
    origins: Mapping[str, str] = field(default_factory=dict)

    def items(self) -> list[tuple[str, Value, str]]:
        """Every setting as (name, value, origin), in the order of config.toml."""
        return [
            (
                f"{section}.{f.name}",
                getattr(values, f.name),
                self.origins.get(f"{section}.{f.name}", "default"),
            )
            for section, attribute in SECTIONS.items()
            for values in [getattr(self, attribute)]
            for f in dataclasses.fields(values)
        ]


SECTIONS = {f.name.rstrip("_"): f.name for f in dataclasses.fields(Settings) if f.name != "origins"}
"""Section as it is written → attribute of Settings (`global` is a Python keyword)."""

_PATHS = {"global.data_dir", "global.store", "global.warehouse"}


def read(flags: Mapping[str, Value], *, config: str | None = None) -> Settings:
    """The settings in force.

    `flags` maps names such as "global.jobs" to values given on the command line; `config` is a path given by flag.
    Raises UsageError for an unknown section or key, naming the nearest, and for a value of the wrong type.
    """
    values: dict[str, Value] = {}
    origins: dict[str, str] = {}
    for origin, folder, layer in (
        *_file_layer(config),
        *_environment_layers(),
        ("flag", Path(), dict(flags)),
    ):
        for name, raw in layer.items():
            remember(str(raw))
            values[name] = _anchored(name, _typed(name, raw, origin), folder)
            origins[name] = origin
    sections = {
        attribute: {n.partition(".")[2]: v for n, v in values.items() if n.partition(".")[0] == section}
        for section, attribute in SECTIONS.items()
    }
    hints = get_type_hints(Settings)
    return Settings(origins=origins, **{a: hints[a](**keys) for a, keys in sections.items()})


def _file_layer(config: str | None) -> list[tuple[str, Path, dict[str, Any]]]:
    given = config or os.environ.get(CONFIG_VARIABLE)
    remember(given or "")
    path = Path(given or DEFAULT_FILE)
    if not path.is_file():
        if given:
            raise UsageError(
                f"The config file {public_text(given)} does not exist. Name one that does, or leave --config out."
            )
        return []
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}.") from error
    layer: dict[str, Any] = {}
    for section, keys in tables.items():
        if not isinstance(keys, dict):
            raise UsageError(f"{path}: '{section}' stands outside a section. Sections: {', '.join(SECTIONS)}.")
        layer |= {f"{section}.{key}": value for key, value in keys.items()}
    return [(str(path), path.resolve().parent, layer)]


def _environment_layers() -> list[tuple[str, Path, dict[str, str]]]:
    return [
        (variable, Path(), {variable.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".", 1): value})
        for variable, value in os.environ.items()
        if variable.startswith(ENVIRONMENT_PREFIX) and "__" in variable
    ]


def environment_name(name: str) -> str:
    """The environment variable of a setting: "global.jobs" → "TAXI_INGEST_GLOBAL__JOBS"."""
    return ENVIRONMENT_PREFIX + name.replace(".", "__").upper()


def shown(value: Value) -> Value:
    """The value of a setting as it may be shown: an address without its secrets, everything else as it is."""
    if isinstance(value, tuple):
        return tuple(map(public_text, value))
    return public_text(value) if isinstance(value, str) else value


def _known() -> dict[str, Any]:
    hints = get_type_hints(Settings)
    return {
        f"{section}.{key}": kind
        for section, attribute in SECTIONS.items()
        for key, kind in get_type_hints(hints[attribute]).items()
    }


def _typed(name: str, raw: Any, origin: str) -> Value:
    known = _known()
    if name not in known:
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f" Did you mean '{nearest[0]}'?" if nearest else f" Settings: {', '.join(known)}."
        raise UsageError(f"{origin}: there is no setting '{name}'.{hint}")
    kind = known[name]
    from_environment = origin.startswith(ENVIRONMENT_PREFIX)
    try:
        return _parsed(raw, kind) if from_environment else _checked(raw, kind)
    except ValueError:
        raise UsageError(f"{origin}: {name} must be {_kind_in_words(kind)}, not {_as_shown(raw)}.") from None


def _as_shown(raw: Any) -> str:
    """A value of the wrong type, as a message may quote it."""
    return repr(shown(raw)) if isinstance(raw, str | int | float) else f"a {type(raw).__name__}"


def _kind_in_words(kind: Any) -> str:
    if get_origin(kind) is tuple:
        return "a list of texts"
    return {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}[kind]


def _parsed(text: str, kind: Any) -> Value:
    """A value written as text, in the environment."""
    if kind is bool:
        if text.lower() not in {"true", "false", "1", "0"}:
            raise ValueError(text)
        return text.lower() in {"true", "1"}
    if get_origin(kind) is tuple:
        return tuple(item.strip() for item in text.split(",") if item.strip())
    return kind(text)  # type: ignore[no-any-return]


def _checked(value: Any, kind: Any) -> Value:
    """A value that already has a type, from TOML or a flag."""
    if get_origin(kind) is tuple:
        if not isinstance(value, list | tuple) or not all(isinstance(v, get_args(kind)[0]) for v in value):
            raise ValueError(value)
        return tuple(value)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ValueError(value)
    return value  # type: ignore[no-any-return]


def _anchored(name: str, value: Value, folder: Path) -> Value:
    """Paths in a config file count from its folder; those of flags and environment from the current one."""
    if name not in _PATHS or not isinstance(value, str) or not value or folder == Path():
        return value
    return Place.parse(value).anchored(folder).url
