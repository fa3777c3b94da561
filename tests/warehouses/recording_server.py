"""A loopback server that records what Google's BigQuery client sends, and plays answers.

By default it behaves as BigQuery is documented to (REST reference, v2): datasets.get, tables.get, tables.patch,
jobs.insert, jobs.get, jobs.cancel, jobs.query, jobs.getQueryResults (as `jobs.results`), and the upload form of
jobs.insert. A job is DONE when it is inserted, an id that was used is refused with 409 `duplicate`. A test puts other
answers into `play`, by the name of the method; they are played in order, then the default applies again. `always`
replaces the default.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from loopback import LoopbackHandler, serving

PROJECT = "wire-project"
DATASET = "taxi"

LOADS = [
    {"name": name, "type": kind, "mode": "NULLABLE"}
    for name, kind in {
        "table_name": "STRING", "file_month": "DATE", "mark": "STRING", "rows": "INTEGER", "source": "STRING",
        "state": "STRING", "at": "TIMESTAMP", "load": "STRING",
    }.items()
]  # fmt: skip
"""The columns of `_loads`."""

_API = r"/bigquery/v2/projects/[\w-]+"
_ROUTES = {
    "datasets.get": ("GET", rf"{_API}/datasets/\w+"),
    "datasets.insert": ("POST", rf"{_API}/datasets"),
    "tables.get": ("GET", rf"{_API}/datasets/\w+/tables/(\w+)"),
    "tables.list": ("GET", rf"{_API}/datasets/\w+/tables"),
    "tables.insert": ("POST", rf"{_API}/datasets/\w+/tables"),
    "tables.patch": ("PATCH", rf"{_API}/datasets/\w+/tables/(\w+)"),
    "tables.delete": ("DELETE", rf"{_API}/datasets/\w+/tables/(\w+)"),
    "jobs.query": ("POST", rf"{_API}/queries"),
    "jobs.results": ("GET", rf"{_API}/queries/([\w-]+)"),
    "jobs.insert": ("POST", rf"{_API}/jobs"),
    "jobs.get": ("GET", rf"{_API}/jobs/([\w-]+)"),
    "jobs.cancel": ("POST", rf"{_API}/jobs/([\w-]+)/cancel"),
    "upload": ("POST", f"/upload{_API}/jobs"),
    "buckets.get": ("GET", r"/storage/v1/b/([\w-]+)"),
    "objects.list": ("GET", r"/storage/v1/b/([\w-]+)/o"),
}


@dataclass(frozen=True)
class Request:
    """One request: the method of the API, the HTTP method, path, query, JSON body, and the name in the path."""

    name: str
    method: str
    path: str
    query: dict[str, str]
    body: Any
    of: str


Answer = tuple[int, Any] | None
"""Status and JSON; None: the connection is closed without a word."""

Play = Callable[[Request], Answer]


@dataclass
class Recording:
    """`requests` in order. `rows` is what COUNT(*) says.

    `newest` is when `_loads` last had a row of the month, `recorded` whether it has any of the table. `dataset`,
    `table` and `loads` (the table `_loads`) amend what the server says of them. `objects` are those of all buckets.
    """

    url: str
    requests: list[Request] = field(default_factory=list)
    play: dict[str, list[Play]] = field(default_factory=dict)
    always: dict[str, Play] = field(default_factory=dict)
    jobs: dict[str, Any] = field(default_factory=dict)
    dataset: dict[str, Any] = field(default_factory=dict)
    table: dict[str, Any] = field(default_factory=dict)
    loads: dict[str, Any] = field(default_factory=dict)
    rows: int = 2
    recorded: bool = True
    newest: int | None = None
    bucket_location: str = "EU"
    bucket_regions: tuple[str, ...] = ()
    objects: list[dict[str, Any]] = field(default_factory=list)

    def sent(self, name: str) -> list[Request]:
        """The requests to one method."""
        return [request for request in self.requests if request.name == name]

    def states(self) -> list[str]:
        """The states that were written into `_loads`, in order, each answered ones only once."""
        return [request.body["row"]["state"] for request in self.sent("upload")]

    def answer(self, request: Request) -> Answer:
        """The played answer, if there is one, else what BigQuery would say."""
        if self.play.get(request.name):
            return self.play[request.name].pop(0)(request)
        default: Play = getattr(self, "_" + request.name.replace(".", "_"))
        return self.always.get(request.name, default)(request)

    def accept(self, request: Request, **status: Any) -> Answer:
        """Accept a job, in the state DONE unless `status` says otherwise."""
        resource = request.body["job"] if request.name == "upload" else request.body
        job_id = resource["jobReference"]["jobId"]
        if job_id in self.jobs:
            return refusal(409, "duplicate", f"Already Exists: Job {PROJECT}:EU.{job_id}")
        self.jobs[job_id] = {**resource, "id": job_id, "status": {"state": "DONE", **status}, "statistics": {}}
        return 200, self.jobs[job_id]

    def add_job(self, job_id: str, state: str) -> None:
        """Add a job that was sent earlier."""
        self.jobs[job_id] = {
            "jobReference": {"projectId": PROJECT, "jobId": job_id, "location": "EU"},
            "configuration": {"load": {}},
            "status": {"state": state},
            "statistics": {},
        }

    def _jobs_results(self, request: Request) -> Answer:
        return refusal(404, "notFound", f"Not found: Job {PROJECT}:{request.of}")

    _jobs_insert = accept
    _upload = accept

    def _jobs_get(self, request: Request) -> Answer:
        job = self.jobs.get(request.of)
        return (200, job) if job else refusal(404, "notFound", f"Not found: Job {PROJECT}:{request.of}")

    def _jobs_cancel(self, request: Request) -> Answer:
        job = self.jobs[request.of]
        stopped = {"reason": "stopped", "message": "Job execution was cancelled: User requested cancellation"}
        job["status"] = {"state": "DONE", "errorResult": stopped, "errors": [stopped]}
        return 200, {"kind": "bigquery#jobCancelResponse", "job": job}

    def _jobs_query(self, request: Request) -> Answer:
        sql = request.body["query"]
        if "COUNT(*)" in sql:
            return self._reply("row_count", "INTEGER", str(self.rows))
        if "MAX(" in sql:
            return self._reply("newest", "TIMESTAMP", None if self.newest is None else str(self.newest))
        if "LIMIT 1" in sql and not self.recorded:
            return 200, {**self._reply("one", "INTEGER", "1")[1], "totalRows": "0", "rows": []}  # type: ignore[index]
        return self._reply("one", "INTEGER", "1")

    @staticmethod
    def _reply(name: str, kind: str, value: str | None) -> Answer:
        return 200, {
            "kind": "bigquery#queryResponse",
            "schema": {"fields": [{"name": name, "type": kind, "mode": "NULLABLE"}]},
            "jobReference": {"projectId": PROJECT, "jobId": "question", "location": "EU"},
            "totalRows": "1",
            "rows": [{"f": [{"v": value}]}],
            "jobComplete": True,
        }

    def _datasets_get(self, _: Request) -> Answer:
        reference = {"projectId": PROJECT, "datasetId": DATASET}
        return 200, {"datasetReference": reference, "location": "EU", **self.dataset}

    def _datasets_insert(self, request: Request) -> Answer:
        return 200, request.body

    def _tables_get(self, request: Request) -> Answer:
        reference = {"projectId": PROJECT, "datasetId": DATASET, "tableId": request.of}
        found = {"tableReference": reference, "type": "TABLE", "etag": "e1", "labels": {"made_by": "taxi-ingest"}}
        if request.of == "_loads":
            return 200, {**found, "schema": {"fields": LOADS}, **self.loads}
        return 200, {**found, "timePartitioning": {"type": "MONTH", "field": "file_month"}, **self.table}

    def _tables_insert(self, request: Request) -> Answer:
        return 200, request.body

    def _tables_patch(self, request: Request) -> Answer:
        return 200, {**self._tables_get(request)[1], **request.body}  # type: ignore[index]

    def _tables_delete(self, _: Request) -> Answer:
        return 200, {}

    def _buckets_get(self, request: Request) -> Answer:
        placed = {"customPlacementConfig": {"dataLocations": self.bucket_regions}} if self.bucket_regions else {}
        return 200, {"kind": "storage#bucket", "name": request.of, "location": self.bucket_location, **placed}

    def _objects_list(self, request: Request) -> Answer:
        prefix = request.query.get("prefix", "")
        items = [one for one in self.objects if one["bucket"] == request.of and one["name"].startswith(prefix)]
        return 200, {"kind": "storage#objects", "items": items}

    def _tables_list(self, request: Request) -> Answer:
        tables = [self._tables_get(dataclasses.replace(request, of=name))[1] for name in ("_loads", "trips")]  # type: ignore[index]
        return 200, {"kind": "bigquery#tableList", "tables": tables}


def refusal(status: int, reason: str, message: str) -> tuple[int, Any]:
    """An error as the API words it."""
    error = {"domain": "global", "reason": reason, "message": message}
    return status, {"error": {"code": status, "message": message, "errors": [error]}}


def refuse(status: int, reason: str, message: str) -> Play:
    """Play a refusal."""
    return lambda _: refusal(status, reason, message)


@contextlib.contextmanager
def recording() -> Iterator[Recording]:
    """Serve until the end of the block."""

    class Handler(LoopbackHandler):
        def take(self) -> None:
            request = _read(self.command, self.path, self.headers.get("Content-Type", ""), self.body())
            recorded.requests.append(request)
            answer = recorded.answer(request)
            if answer is None:
                self.close_connection = True
                return
            self.reply_json(*answer)

        do_GET = do_POST = do_PATCH = do_DELETE = take  # noqa: N815 - the names http.server calls

    with serving(Handler) as url:
        recorded = Recording(url)
        yield recorded


def _read(method: str, target: str, content_type: str, body: bytes) -> Request:
    split = urlsplit(target)
    for name, (verb, pattern) in _ROUTES.items():
        match = re.fullmatch(pattern, split.path)
        if match and verb == method:
            of = match.group(1) if match.groups() else ""
            return Request(name, method, split.path, dict(parse_qsl(split.query)), _document(content_type, body), of)
    raise AssertionError(f"no method of the API: {method} {target}")


def _document(content_type: str, body: bytes) -> Any:
    """The JSON of a request; of an upload (multipart/related) the job and the row."""
    if not content_type.startswith("multipart/related"):
        return json.loads(body) if body else None
    boundary = content_type.partition('boundary="')[2].rstrip('"').encode()
    job, row = (json.loads(part.partition(b"\r\n\r\n")[2]) for part in body.split(b"--" + boundary)[1:-1])
    return {"job": job, "row": row}
