"""The map is true: the front page of each folder names every module in it, and none that is not there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from conftest import REPOSITORY

PACKAGE = REPOSITORY / "taxi_ingest"
FRONT_PAGES = sorted(PACKAGE.rglob("__init__.py"))


def prose(front_page: Path) -> str:
    return ast.get_docstring(ast.parse(front_page.read_text(encoding="utf-8"))) or ""


def modules_in(folder: Path) -> set[str]:
    files = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("__")}
    return files | {path.parent.name for path in folder.glob("*/__init__.py")}


def words_of_code(*paths: Path) -> set[str]:
    """Names and texts in the code of these modules: what a front page may speak of beside modules."""
    found: set[str] = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Name(id=word) | ast.Attribute(attr=word) | ast.FunctionDef(name=word) | ast.arg(arg=word):
                    found.add(word)
                case ast.Import(names=names):
                    found |= {one.name for one in names}
                case ast.Constant(value=str(word)):
                    found.add(word)
    return found


WHAT_USERS_TYPE = words_of_code(PACKAGE / "settings.py", PACKAGE / "cli" / "__init__.py")


@pytest.mark.parametrize("front_page", FRONT_PAGES, ids=lambda path: path.parent.name)
def test_every_module_is_named_on_the_front_page(front_page: Path) -> None:
    missing = {name for name in modules_in(front_page.parent) if not re.search(rf"\b{name}\b", prose(front_page))}
    assert missing == set()


@pytest.mark.parametrize("front_page", FRONT_PAGES, ids=lambda path: path.parent.name)
def test_a_front_page_names_nothing_that_is_not_there(front_page: Path) -> None:
    named = set(re.findall(r"`([a-z_]+)`", prose(front_page)))
    known = words_of_code(*front_page.parent.rglob("*.py")) | WHAT_USERS_TYPE
    assert named - modules_in(front_page.parent) - known == set()
