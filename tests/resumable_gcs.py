"""A loopback server with the resumable uploads of Cloud Storage, as Google documents them.

https://docs.cloud.google.com/storage/docs/performing-resumable-uploads: a POST answers with the address of a session;
a PUT with `Content-Range: bytes A-B/N` is answered with 308 and `Range: bytes=0-M`, the last one with the object; of a
request that is cut, what arrived is kept in multiples of 256 KiB; `bytes */N` asks how much is there. A session that
is gone is answered with 410. An object that is described with a crc32c is refused when its bytes have another.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import google_crc32c
from loopback import LoopbackHandler, serving

QUANTUM = 256 << 10


def as_base64(content: bytes) -> str:
    return base64.b64encode(google_crc32c.Checksum(content).digest()).decode()


@dataclass
class Begun:
    """An upload that was begun: what describes the object, and what has arrived."""

    described: dict[str, Any]
    arrived: bytearray = field(default_factory=bytearray)


@dataclass
class Bucket:
    """`received` counts the bytes of all chunks, `chunks` are their lengths, `begun` how many sessions were begun.

    `cut_after` ends the connection each time so many more bytes have come, as often as `cuts` says. `before` is called
    with each chunk's number before it is read. `requests` are (method, path), `targets` the same with the query.
    `listed` decides what a listing tells of an object. With `ends_when_asked`, whoever asks how much there is ends the
    upload, as fake-gcs-server has it.
    """

    url: str = ""
    objects: dict[str, tuple[dict[str, Any], bytes]] = field(default_factory=dict)
    sessions: dict[str, Begun] = field(default_factory=dict)
    received: int = 0
    chunks: list[int] = field(default_factory=list)
    begun: int = 0
    requests: list[tuple[str, str]] = field(default_factory=list)
    targets: list[tuple[str, str]] = field(default_factory=list)
    cut_after: int = 0
    cuts: int = 0
    before: Callable[[int], None] = lambda _: None
    ends_when_asked: bool = False
    listed: Callable[[dict[str, Any]], dict[str, Any]] = lambda described: described

    def store(self, described: dict[str, Any], content: bytes) -> dict[str, Any]:
        """Keep an object; returns its description."""
        before = self.objects.get(described["name"])
        generation = int(before[0]["generation"]) + 1 if before else 1
        size = str(len(content))
        whole = {**described, "size": size, "crc32c": as_base64(content), "generation": str(generation)}
        self.objects[described["name"]] = (whole, content)
        return whole


class Handler(LoopbackHandler):
    bucket: Bucket

    def do_POST(self) -> None:  # noqa: N802 - the name http.server calls
        self._note()
        body = self.body()
        if "uploadType=multipart" in self.path:
            described, content = _parts(body, self.headers["Content-Type"])
            self.reply_json(200, self.bucket.store(described, content))
            return
        described = json.loads(body)
        self.bucket.begun += 1
        session = f"s{self.bucket.begun}"
        self.bucket.sessions[session] = Begun(described)
        where = f"{self.bucket.url}/upload/session?upload_id={session}"
        self.reply_json(200, {}, {"Location": where})

    def do_PUT(self) -> None:  # noqa: N802 - the name http.server calls
        self._note()
        session = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)["upload_id"][0]
        begun = self.bucket.sessions.get(session)
        if begun is None:
            self.body()
            self.reply_json(410, {"error": {"code": 410, "message": "Gone", "errors": []}})
            return
        first, last, total = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+)", self.headers["Content-Range"]).groups()
        if first is not None and not self._take(begun, int(first), int(last) - int(first) + 1):
            return
        ends = first is None and self.bucket.ends_when_asked
        if len(begun.arrived) < int(total) and not ends:
            there = {"Range": f"bytes=0-{len(begun.arrived) - 1}"} if begun.arrived else {}
            self.reply_json(308, {}, there)
            return
        content = bytes(begun.arrived)
        if not ends and as_base64(content) != begun.described.get("crc32c", as_base64(content)):
            message = "Provided CRC32C hash does not match calculated hash."
            self.reply_json(400, {"error": {"code": 400, "message": message, "errors": [{"reason": "invalid"}]}})
            return
        self.reply_json(200, self.bucket.store(begun.described, content))

    def _take(self, begun: Begun, first: int, length: int) -> bool:
        """Read a chunk; returns False if the line was cut."""
        assert first == len(begun.arrived), "a chunk that does not follow"
        bucket = self.bucket
        bucket.before(len(bucket.chunks))
        cut = bucket.cut_after if bucket.cuts and bucket.cut_after < length else 0
        content = self.rfile.read(cut or length)
        bucket.received += len(content)
        if cut or len(content) < length:
            bucket.cuts = max(0, bucket.cuts - 1)
            begun.arrived += content[: len(content) // QUANTUM * QUANTUM]
            self.close_connection = True
            return False
        bucket.chunks.append(length)
        begun.arrived += content
        return True

    def do_GET(self) -> None:  # noqa: N802 - the name http.server calls
        self._note()
        path = urllib.parse.urlsplit(self.path).path
        name = urllib.parse.unquote(path.partition("/o/")[2])
        if path.endswith("/o"):
            items = [self.bucket.listed(described) for described, _ in self.bucket.objects.values()]
            self.reply_json(200, {"items": items})
        elif name in self.bucket.objects:
            self.reply_json(200, self.bucket.objects[name][0])
        else:
            self.reply_json(404, {"error": {"code": 404, "message": f"No such object: {name}", "errors": []}})

    def _note(self) -> None:
        self.bucket.requests.append((self.command, urllib.parse.urlsplit(self.path).path))
        self.bucket.targets.append((self.command, self.path))


def _parts(body: bytes, content_type: str) -> tuple[dict[str, Any], bytes]:
    """Description and bytes of an object that is uploaded in one request (multipart/related)."""
    boundary = content_type.partition('boundary="')[2].rstrip('"').encode()
    described, content = (part.partition(b"\r\n\r\n")[2][:-2] for part in body.split(b"--" + boundary)[1:3])
    return json.loads(described), content


@contextlib.contextmanager
def resumable_gcs() -> Iterator[Bucket]:
    """Serve one bucket until the end of the block."""
    bucket = Bucket()

    class Mine(Handler):
        pass

    Mine.bucket = bucket
    with serving(Mine) as bucket.url:
        yield bucket
