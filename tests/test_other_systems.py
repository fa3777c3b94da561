"""What Windows and macOS ask of the package: only what they have is used, and every file can have its name there."""

from __future__ import annotations

import ast
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import REPOSITORY, Command, process

from taxi_ingest.engine import conversion
from taxi_ingest.place import Place

PACKAGE = REPOSITORY / "taxi_ingest"

POSIX_MODULES = {"curses", "fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}

WINDOWS_LACKS = {
    "os": {
        *("O_ASYNC", "O_CLOEXEC", "O_DIRECTORY", "O_DSYNC", "O_NOCTTY", "O_NOFOLLOW", "O_NONBLOCK", "O_SYNC"),
        *("WNOHANG", "chown", "chroot", "fchmod", "fchown", "fdatasync", "fork", "forkpty", "getegid", "geteuid"),
        *("getgid", "getloadavg", "getpgid", "getpriority", "getuid", "killpg", "lchown", "lockf", "mkfifo", "mknod"),
        *("nice", "openpty", "pathconf", "posix_fadvise", "posix_fallocate", "pread", "pwrite", "sched_getaffinity"),
        *("sendfile", "setsid", "setuid", "statvfs", "sync", "sysconf", "ttyname", "uname", "wait", "wait4"),
    },
    "signal": {
        *("SIGALRM", "SIGBUS", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGSTOP", "SIGTSTP"),
        *("SIGUSR1", "SIGUSR2", "alarm", "pause", "pthread_kill", "pthread_sigmask", "setitimer", "sigwait"),
    },
    "time": {"tzset", "clock_gettime", "pthread_getcpuclockid"},
    "socket": {"AF_UNIX", "SO_REUSEPORT"},
}
"""Names that Python's documentation gives as missing on Windows, and macOS lacks a few of them too."""

NOT_IN_A_NAME = re.compile(r'[<>:"|?*\\\x00-\x1f]|[. ]$')
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def on_windows(statements: list[ast.stmt]) -> Iterator[ast.AST]:
    """Every node that Windows comes to in `statements`: an `if` on sys.platform is followed, also one that returns."""
    for statement in statements:
        test = ast.unparse(statement.test) if isinstance(statement, ast.If) else ""
        if isinstance(statement, ast.If) and test == "sys.platform == 'win32'":
            yield from on_windows(statement.body)
            if isinstance(statement.body[-1], ast.Return | ast.Raise):
                return
        elif isinstance(statement, ast.If) and test == "sys.platform != 'win32'":
            yield from on_windows(statement.orelse)
        else:
            yield from below(statement)


def below(node: ast.AST) -> Iterator[ast.AST]:
    """A node, and all that Windows comes to in it."""
    yield node
    for _, value in ast.iter_fields(node):
        children = value if isinstance(value, list) else [value]
        if children and all(isinstance(child, ast.stmt) for child in children):
            yield from on_windows(children)
        else:
            for child in children:
                yield from below(child) if isinstance(child, ast.AST) else ()


def uses(text: str) -> Iterator[str]:
    """The modules that a file imports on Windows, and the attributes of modules that it names there."""
    for node in on_windows(ast.parse(text).body):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"


LACKING = POSIX_MODULES | {f"{module}.{name}" for module, names in WINDOWS_LACKS.items() for name in names}


def test_no_module_names_what_windows_lacks() -> None:
    used = {
        (str(path.relative_to(REPOSITORY)), use) for path in modules() for use in uses(path.read_text(encoding="utf-8"))
    }
    assert [(path, use) for path, use in sorted(used) if use in LACKING] == []


GUARDED = 'def f():\n    if sys.platform == "win32":\n        {}\n    os.fork()\n'


@pytest.mark.parametrize(
    "planted",
    [
        "import fcntl",
        "from os import fork",
        "while True:\n    with x:\n        y = [os.getuid()]",
        "try:\n    pass\nexcept OSError:\n    os.fork()",
        "import pwd as p",
        GUARDED.format("pass"),
        'if sys.platform != "linux":\n    import fcntl',
    ],
)
def test_what_windows_lacks_is_found(planted: str) -> None:
    assert LACKING & set(uses(planted))


@pytest.mark.parametrize("planted", [GUARDED.format("return"), 'if sys.platform != "win32":\n    import fcntl'])
def test_what_windows_does_not_come_to_is_not_found(planted: str) -> None:
    assert LACKING & set(uses(planted)) == set()


def test_every_module_can_be_imported_where_only_that_is_there_what_windows_has(tmp_path: Path) -> None:
    """Others' modules are imported before, as they have a way of their own on each system. Airflow has none there."""
    names = [str(path.relative_to(REPOSITORY).with_suffix("")).replace(os.sep, ".") for path in modules()]
    ours = [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]
    script = f"""
import importlib, sys
ours, lacks, posix = {ours!r}, {WINDOWS_LACKS!r}, {sorted(POSIX_MODULES)!r}
for name in list(ours):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not error.name.startswith("airflow"):
            raise
        ours.remove(name)
sys.platform = "win32"
for name in [name for name in sys.modules if name.partition(".")[0] == "taxi_ingest"]:
    del sys.modules[name]
for module, gone in lacks.items():
    for name in gone & set(dir(importlib.import_module(module))):
        delattr(sys.modules[module], name)
for name in posix:
    sys.modules[name] = None
for name in ours:
    importlib.import_module(name)
print(len(ours))
"""
    ran = process([sys.executable, "-c", script], tmp_path)
    outside_airflow = [name for name in ours if not name.startswith("taxi_ingest.airflow")]
    assert (ran.code, int(ran.out or 0) >= len(outside_airflow) > 100) == (0, True), ran.err


@pytest.mark.parametrize("form", [[], ["--systemd"]])
def test_cron_says_on_windows_what_to_schedule_instead(tmp_path: Path, form: list[str]) -> None:
    script = f"""
import sys, sysconfig, zoneinfo  # zoneinfo asks once for the system it is on
import taxi_ingest.cli, taxi_ingest.cron, taxi_ingest.nights, taxi_ingest.systemd, taxi_ingest.report.screen
import taxi_ingest.stores.local, taxi_ingest.warehouses.duckdb
sysconfig.get_config_vars()  # what Python asks the system it is really on, once
sys.platform = "win32"
sys.argv = ["taxi-ingest", "cron", "--month", "2021-01..latest", *{form!r}]
taxi_ingest.cli.main()
"""
    ran = process([sys.executable, "-c", script], tmp_path)
    assert (ran.code, ran.out) == (2, ""), ran.err
    assert "Windows has neither cron nor systemd." in ran.err
    assert "run --month 2021-01..latest --quiet" in ran.err


def test_text_is_never_read_or_written_in_the_encoding_of_the_system(taxi: Command) -> None:
    """Python tells of every file that is opened as text without an encoding; Windows would take cp1252."""
    for arguments in (("run", "--source", "demo"), ("status", "--data-dir", "demo-data"), ("catalog",), ("config",)):
        ran = taxi(*arguments, PYTHONWARNDEFAULTENCODING="1", TAXI_INGEST_DEMO__ROWS="50")
        told = [line for line in ran.err.splitlines() if "EncodingWarning" in line and "taxi_ingest" in line]
        assert (ran.code, told) == (0, [])


def test_every_file_can_have_its_name_on_every_system(taxi: Command, tmp_path: Path) -> None:
    taxi("run", "--source", "demo", "--month", "2021-01", "--data-dir", "data", TAXI_INGEST_DEMO__ROWS="50")
    taxi("run", "--source", "file:///nowhere/{month}.csv", "--month", "2021-02", "--data-dir", "data")
    taxi("report", "--data-dir", "data")
    paths = [path.relative_to(tmp_path) for path in tmp_path.rglob("*")]
    assert len(paths) > 20
    assert [p for p in paths if NOT_IN_A_NAME.search(p.name) or RESERVED.fullmatch(p.name) or len(str(p)) > 120] == []
    assert len({str(path).casefold() for path in paths}) == len(paths)


def test_every_file_of_this_repository_can_be_checked_out_everywhere(tmp_path: Path) -> None:
    listed = process(["git", "ls-files"], REPOSITORY).out.splitlines()
    names = [name for path in listed for name in path.split("/")]
    assert [name for name in names if NOT_IN_A_NAME.search(name) or RESERVED.fullmatch(name)] == []
    assert len({path.casefold() for path in listed}) == len(listed) > 200


@pytest.mark.parametrize("code", [-signal.SIGSEGV, -signal.SIGABRT, 3, 0xC0000005, 0xC0000409])
def test_a_process_that_ended_by_a_fault_in_it_is_known_by_its_code(code: int) -> None:
    assert conversion._is_own_fault(code)


@pytest.mark.parametrize("code", [-signal.SIGKILL, -signal.SIGTERM, 0, 1])
def test_a_process_that_was_ended_from_outside_is_known_by_its_code(code: int) -> None:
    assert not conversion._is_own_fault(code)


@pytest.mark.parametrize("text", [r"C:\taxi\lake", "C:/taxi/lake", "d:lake"])
def test_a_drive_of_windows_is_no_scheme(text: str) -> None:
    place = Place.parse(text)
    assert (place.scheme, place.path, place.has_host) == ("", text, False)


def test_a_duckdb_file_may_lie_on_a_drive_of_windows() -> None:
    place = Place.parse(r"duckdb:C:\taxi\taxi.duckdb")
    assert (place.scheme, place.path) == ("duckdb", r"C:\taxi\taxi.duckdb")


def test_the_hosted_checks_name_files_that_are_there() -> None:
    workflow = (REPOSITORY / ".github" / "workflows" / "checks.yml").read_text(encoding="utf-8")
    named = re.findall(r"(?<![\w./])(?:tests|\.ci)/[\w./]+", workflow)
    assert len(named) > 5
    assert [name for name in named if not (REPOSITORY / name).exists()] == []
    for system in ("ubuntu-latest", "macos-latest", "windows-latest"):
        assert system in workflow
