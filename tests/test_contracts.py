"""Contracts bite: a kind of store or warehouse that lacks a member, or changes its signature, fails the type check.

The package is copied under another name once for every change, and one run of mypy checks all copies. A change counts
as noticed only if mypy reports the class on the front page, where openers promise the contract; so a loosened opener
fails here. Members are found from the Protocols, and Protocols from the front pages.
"""

from __future__ import annotations

import ast
import inspect
import re
import shutil
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
from conftest import REPOSITORY

from taxi_ingest import stores, warehouses
from taxi_ingest.place import Place

PACKAGE = REPOSITORY / "taxi_ingest"
ROOMS = ("stores", "warehouses")
SUITES = {room: REPOSITORY / "tests" / room / f"conformance_of_{room}.py" for room in ROOMS}
UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Implementation:
    """A class that an opener in KINDS returns, and the members that the Protocols of its room ask of it."""

    room: str
    name: str
    file: Path
    members: frozenset[str]

    def __str__(self) -> str:
        return self.name


def members_of(protocol: type) -> frozenset[str]:
    names: set[str] = set()
    for base in protocol.__mro__:
        if getattr(base, "_is_protocol", False):
            names |= {*vars(base), *inspect.get_annotations(base)}
    return frozenset(name for name in names if not name.startswith("_"))


def protocols_of(front_page: types.ModuleType) -> list[type]:
    return [
        found
        for found in vars(front_page).values()
        if inspect.isclass(found) and getattr(found, "_is_protocol", False) and found is not Protocol
    ]


def implementations() -> Iterator[Implementation]:
    for room, front_page, open_place in (
        ("stores", stores, stores.open_store),
        ("warehouses", warehouses, warehouses.open_warehouse),
    ):
        for kind in front_page.KINDS.values():
            opened = open_place(Place.parse(kind.example))
            kept = [
                asked for asked in map(members_of, protocols_of(front_page)) if all(hasattr(opened, m) for m in asked)
            ]
            file = Path(inspect.getfile(type(opened))).relative_to(PACKAGE)
            yield Implementation(room, type(opened).__name__, file, frozenset().union(*kept))


IMPLEMENTATIONS = list(implementations())
MEMBERS = [(kind, member) for kind in IMPLEMENTATIONS for member in sorted(kind.members)]
METHODS = [(kind, member) for kind, member in MEMBERS if f"def {member}(" in (PACKAGE / kind.file).read_text()]


def without(kind: Implementation, member: str, source: str) -> str:
    """`source` with the member renamed wherever the class defines or uses it."""
    return edited(kind, source, lambda node: renamed(node, member))


def renamed(node: ast.AST, member: str) -> tuple[str, str] | None:
    match node:
        case ast.FunctionDef(name=name) if name == member:
            return f"def {member}(", f"def {member}_renamed("
        case ast.Attribute(value=ast.Name(id="self"), attr=attr) if attr == member:
            return f"self.{member}", f"self.{member}_renamed"
        case ast.Name(id=name, ctx=ast.Store()) if name == member:
            return member, f"{member}_renamed"
    return None


def with_another_signature(kind: Implementation, member: str, source: str) -> str:
    """`source` with one more required argument of the method."""

    def longer(node: ast.AST) -> tuple[str, str] | None:
        if isinstance(node, ast.FunctionDef) and node.name == member:
            return f"def {member}(", f"def {member}(required, "
        return None

    changed = edited(kind, source, longer)
    return re.sub(rf"def {member}\(required, (\s*)self\b", rf"def {member}(\1self, required: int", changed)


def edited(kind: Implementation, source: str, change: Callable[[ast.AST], tuple[str, str] | None]) -> str:
    """`source` with each change made in the class, once per node, where the node begins."""
    lines = source.splitlines(keepends=True)
    (found,) = (n for n in ast.parse(source).body if isinstance(n, ast.ClassDef) and n.name == kind.name)
    # nested functions are no members, and from the end so that earlier columns stay right
    methods = {id(node) for node in found.body}
    nodes = [n for n in ast.walk(found) if not isinstance(n, ast.FunctionDef) or id(n) in methods]
    top_level = {id(t) for n in found.body for t in ast.walk(n) if isinstance(n, ast.Assign | ast.AnnAssign)}
    nodes = [n for n in nodes if not isinstance(n, ast.Name) or id(n) in top_level]
    places = [(n.lineno - 1, n.col_offset, change(n)) for n in nodes if hasattr(n, "lineno")]
    for line, column, texts in sorted((p for p in places if p[2]), key=lambda p: p[:2], reverse=True):
        assert texts is not None
        before, after = lines[line][:column], lines[line][column:]
        assert after.startswith(texts[0]), after
        lines[line] = before + after.replace(*texts, 1)
    return "".join(lines)


@dataclass(frozen=True)
class TypeCheck:
    """What mypy said, by the name of the copy."""

    output: str

    def errors(self, copy: str) -> list[str]:
        return [line for line in self.output.splitlines() if line.startswith(f"{copy}/") and ": error: " in line]


def copy_package(folder: Path, name: str, changed: dict[Path, str]) -> None:
    """Copy the package as `name`, which its own imports use, too."""
    for source in PACKAGE.rglob("*.py"):
        relative = source.relative_to(PACKAGE)
        target = folder / name / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        text = changed.get(relative) or source.read_text()
        target.write_text(re.sub(r"\btaxi_ingest\b", name, text))


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> TypeCheck:
    """One run of mypy over a copy without any change, and one copy for each change."""
    folder = tmp_path_factory.mktemp("copies")
    copy_package(folder, UNCHANGED, {})
    for prefix, cases, change in (("without", MEMBERS, without), ("other", METHODS, with_another_signature)):
        for member in {member for _, member in cases}:
            kinds = [kind for kind, of in cases if of == member]
            changed = {kind.file: change(kind, member, (PACKAGE / kind.file).read_text()) for kind in kinds}
            copy_package(folder, f"{prefix}_{member}", changed)
    copies = sorted(path.name for path in folder.iterdir())
    shutil.copyfile(REPOSITORY / "pyproject.toml", folder / "pyproject.toml")
    command = [sys.executable, "-m", "mypy", "--strict", "--hide-error-context", "--no-pretty"]
    for copy in copies:
        command += [argument for room in ROOMS for argument in ("-p", f"{copy}.{room}")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return TypeCheck(done.stdout)


def test_without_a_change_the_type_check_passes(checked: TypeCheck) -> None:
    assert checked.errors(UNCHANGED) == []


@pytest.mark.parametrize(("kind", "member"), MEMBERS, ids=str)
def test_a_member_that_is_missing_is_noticed(checked: TypeCheck, kind: Implementation, member: str) -> None:
    assert reported(checked.errors(f"without_{member}"), kind)


@pytest.mark.parametrize(("kind", "member"), METHODS, ids=str)
def test_a_signature_that_is_changed_is_noticed(checked: TypeCheck, kind: Implementation, member: str) -> None:
    assert reported(checked.errors(f"other_{member}"), kind)


def reported(errors: list[str], kind: Implementation) -> bool:
    """Whether the front page of the room has an error about the class."""
    front_page = f"/{kind.room}/__init__.py:"
    return any(front_page in error and f'(got "{kind.name}", expected' in error for error in errors)


@pytest.mark.parametrize("room", ROOMS)
def test_the_conformance_suite_uses_every_member(room: str) -> None:
    tree = ast.parse(SUITES[room].read_text())
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used |= {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    members = frozenset().union(*(kind.members for kind in IMPLEMENTATIONS if kind.room == room))
    assert sorted(members - used) == []
