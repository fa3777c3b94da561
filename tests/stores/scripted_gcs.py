"""A loopback server that plays scripted answers in the form of Google's JSON API."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from loopback import LoopbackHandler, serving

Reply = tuple[int, Any]
"""Status and JSON."""


def refusal(status: int, message: str, reason: str = "") -> Reply:
    """An error as the API words it."""
    detail = {"domain": "global", "reason": reason, "message": message}
    return status, {"error": {"code": status, "message": message, "errors": [detail]}}


def described(name: str, crc32c: str, size: int, mark: str) -> Reply:
    """The metadata of an object; `crc32c` is 8 hex digits."""
    checksum = base64.b64encode(bytes.fromhex(crc32c)).decode()
    document = {"name": name, "crc32c": checksum, "size": str(size), "metadata": {"taxi-ingest-mark": mark}}
    return 200, {**document, "generation": "1"}


@dataclass
class Scripted:
    """`script` holds replies by HTTP method, played in order, the last one again and again."""

    url: str
    script: dict[str, list[Reply]] = field(default_factory=dict)

    @property
    def session(self) -> str:
        """The URL of a resumable upload's session; like Google's, it has a secret in its query."""
        return f"{self.url}/upload/session?upload_id=a-secret"

    def play(self, method: str) -> Reply:
        """The next reply."""
        replies = self.script[method]
        return replies.pop(0) if len(replies) > 1 else replies[0]


@contextlib.contextmanager
def scripted() -> Iterator[Scripted]:
    """Serve until the end of the block."""

    class Handler(LoopbackHandler):
        def reply(self) -> None:
            self.body()
            status, document = script.play(self.command)
            self.reply_json(status, document, {"Location": script.session})

        do_GET = do_POST = do_PUT = do_DELETE = reply  # noqa: N815 - the names http.server calls

    with serving(Handler) as url:
        script = Scripted(url)
        yield script
