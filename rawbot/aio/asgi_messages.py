"""ASGI's dictionaries to our requests, and our responses to them. Stateless.

Engine room, pure. Source: asgi.readthedocs.io, HTTP specification, version 2.x.
"""

from collections.abc import MutableMapping
from typing import Any

from rawbot.errors import LimitError
from rawbot.exchange import Request, Response
from rawbot.http.responses import WITHOUT_CONTENT

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]


class Body:
    """A request body as it arrives, at most `limit` bytes of it. Raises `LimitError`, at once when more is declared."""

    __slots__ = ("_limit", "_parts", "_size")

    def __init__(self, scope: Scope, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit():
                self._count(int(value))
        self._size = 0

    def receive(self, message: Message) -> bytes | None:
        """Take an `http.request` message; return the whole body with the last one."""
        part = message.get("body", b"")
        self._count(len(part))
        self._parts.append(part)
        return None if message.get("more_body", False) else b"".join(self._parts)

    def _count(self, added: int) -> None:
        self._size += added
        if self._size > self._limit:
            raise LimitError("the body is too long", status=413)


def decode_request(scope: Scope) -> Request:
    """Return the request of an `http` scope, still without its body; its path is the one below the mount point."""
    client = scope.get("client")
    return Request(
        scope["method"],
        _path(scope),
        scope.get("query_string", b"").decode("latin-1"),
        [(bytes(name), bytes(value)) for name, value in scope["headers"]],
        b"",
        scope.get("http_version", "1.1"),
        client[0] if client else "",
        scope.get("scheme", "http"),
    )


def encode_response(response: Response) -> tuple[Message, Message]:
    """Return a response as the two messages that start and end it; the host adds Date."""
    body = b"" if response.status in WITHOUT_CONTENT else response.body
    headers = [] if response.status in WITHOUT_CONTENT else [(b"content-length", b"%d" % len(body))]
    if body:
        headers.append((b"content-type", response.content_type))
    headers.extend(response.headers)
    start = {"type": "http.response.start", "status": response.status, "headers": headers}
    return start, {"type": "http.response.body", "body": body}


def _path(scope: Scope) -> str:
    """Return the path below the mount point. `path` holds the root_path in newer hosts and not in older ones."""
    raw = scope.get("raw_path")
    path = raw.decode("latin-1") if raw else scope["path"]
    root = scope.get("root_path", "").rstrip("/")
    if path == root or path.startswith(f"{root}/"):
        path = path[len(root) :] or "/"
    return str(path)
