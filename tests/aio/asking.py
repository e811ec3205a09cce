"""A small site, and questions to the endpoint that serves it."""

import time
from pathlib import Path

from rawbot.aio.files.endpoint import Files
from rawbot.exchange import Answer, Request, Response
from rawbot.http.responses import encode_response

NOW = time.time() + 3600  # what is written in a test was written a while ago
CSS = b"body { color: black }\n" * 20


def make_site(folder: Path) -> Path:
    """Write a few files into a folder."""
    (folder / "style.css").write_bytes(CSS)
    (folder / "empty.txt").write_bytes(b"")
    (folder / "index.html").write_bytes(b"<p>top")
    (folder / "docs").mkdir()
    (folder / "docs" / "index.html").write_bytes(b"<p>docs")
    (folder / "bare").mkdir()
    (folder / "bare" / "a.txt").write_bytes(b"a")
    (folder / ".env").write_bytes(b"SECRET=1")
    (folder / "\u4e2d \u6587.txt").write_bytes(b"unicode")
    return folder


def ask(
    endpoint: Files, path: str, *headers: tuple[bytes, bytes], method: str = "GET", query: str = ""
) -> tuple[int, dict[bytes, bytes], bytes]:
    """Return status, fields and body, having looked that they can be written and that the length is right."""
    answer = endpoint.receive(Request(method, path, query, headers), NOW)
    assert isinstance(answer, Answer)
    assert answer.event is None
    response = answer.response
    body = response.body
    if response.region is not None:
        assert not body
        assert response.region.count > 0
        response.region.file.seek(response.region.offset)
        body = response.region.file.read(response.region.count)
        assert len(body) == response.region.count
        response.region.close()
    written = encode_response(Response(response.status, body, response.content_type, response.headers), NOW)
    head, _, rest = written.partition(b"\r\n\r\n")
    lines = [line.split(b": ", 1) for line in head.split(b"\r\n")[1:]]
    assert len({name for name, _ in lines}) == len(lines)
    assert rest == body
    return response.status, {name: value for name, value in lines if name != b"date"}, body
