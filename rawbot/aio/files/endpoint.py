"""The endpoint for static files: a directory below a path.

Engine room. What to answer is decided in `rawbot.http`, how to open without leaving the directory in `opening`; here a
request becomes an open file, and that a response. Small files are read at once and go out in one write with their head,
all others leave through `sendfile`.

The loop waits meanwhile: 15 µs for a small file, 21 when the client takes gzip and there may be one, 21 for a 304, 11
for what is not there (files in the page cache, CPython 3.11).
"""

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass

from rawbot.aio.files.opening import OpenFile, Root, open_file, open_gzip
from rawbot.aio.routes import NOT_FOUND
from rawbot.errors import ConfigError
from rawbot.exchange import Answer, Endpoint, Exchange, FileRegion, Headers, Request, Response
from rawbot.http.files.codings import accepts_gzip
from rawbot.http.files.media_types import CONTENT_TYPES, content_type
from rawbot.http.files.paths import split_path, with_slash
from rawbot.http.files.representations import Representation, gather_fields, make_validators, select
from rawbot.http.responses import UNAVAILABLE

SMALL = 64 * 1024
"""Bytes up to which a body is read into memory: as many as asyncio buffers for a connection anyway. With 64 KiB, the
server's CPU for a request is 65 µs this way and 141 by `sendfile`, which is cheaper from about 1 MiB on only; but what
stands in memory stands there for every peer that does not read (loopback, CPython 3.11)."""

_NOT_THERE = frozenset(
    (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EMLINK, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ENXIO)
)
"""What opening says of a name that leads to no readable file; of links ELOOP, in BSD EMLINK, of sockets ENXIO."""
_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM))

_REFUSALS = {412: b"Precondition Failed\n", 416: b"Range Not Satisfiable\n"}
_NOSNIFF = (b"x-content-type-options", b"nosniff")
_GZIPPED = (b"content-encoding", b"gzip")


@dataclass(slots=True)
class _Found:
    """What a path leads to."""

    file: OpenFile
    name: bytes
    gzipped: bool


class Files(Endpoint):
    """Serves the files in `directory` below the path that it is added with.

    `index` names the file that answers for a directory; None lets directories be 404. `cache_control` goes with every
    answer; the default lets caches keep a file but ask each time whether it changed. With `gzip`, `style.css.gz` is
    sent in place of `style.css` to those who take it, when it stands beside it and is not older. `hidden` serves names
    that begin with a dot, too. With `follow_symlinks` links are followed as long as they stay within the directory;
    otherwise none is. `types` adds media types to the known ones or replaces them: `{"log": "text/x-log"}`.

    Raises `ConfigError` for a directory that is not there and for values that cannot be sent.
    """

    methods = ("GET", "HEAD")
    below = True
    needs_bot = False

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        index: str | None = "index.html",
        cache_control: str = "no-cache",
        gzip: bool = True,
        hidden: bool = False,
        follow_symlinks: bool = False,
        types: Mapping[str, str] | None = None,
    ) -> None:
        if index is not None and (index in ("", ".", "..") or "/" in index or "\0" in index):
            raise ConfigError(f"index is the name of a file, not {index!r}")
        self._root = Root(directory, follow_symlinks=follow_symlinks)
        self._index = None if index is None else os.fsencode(index)
        self._gzip = gzip
        self._hidden = hidden
        own = {suffix.lstrip(".").lower().encode("utf-8"): _value(kind) for suffix, kind in (types or {}).items()}
        self._types = {**CONTENT_TYPES, **own}
        # whether or not there is a gzip at present: caches must know that there could be (RFC 9110, section 12.5.5)
        vary = ((b"vary", b"accept-encoding"),) if gzip else ()
        self._headers: Headers = ((b"cache-control", _value(cache_control)), *vary)

    def receive(self, request: Request, now: float) -> Exchange:
        """Answer with a file, with a part of one, or with the reason why not. Raises `OSError` when the disk fails."""
        names = split_path(request.path[len(self.mounted_at.rstrip("/")) :], hidden=self._hidden)
        if names is None:
            return NOT_FOUND  # whatever the reason: what is hidden or forbidden is nobody's business
        try:
            response = self._respond(request, names, now)
        except OSError as error:
            if error.errno in _EXHAUSTED:
                return Answer(UNAVAILABLE)
            if error.errno in _NOT_THERE:
                return NOT_FOUND
            raise
        return NOT_FOUND if response is None else Answer(response)

    def _respond(self, request: Request, names: tuple[bytes, ...], now: float) -> Response | None:
        fields = gather_fields(request.headers)
        gzip = self._gzip and accepts_gzip(fields.get(b"accept-encoding"))
        with_slash_sent = names[-1:] == (b"",)
        if names and not with_slash_sent and (found := self._open(names, gzip=gzip)):
            return self._send(request, fields, found, now)
        if self._index is None:
            return None
        above = names[:-1] if with_slash_sent else names
        found = self._open((*above, self._index), gzip=gzip)
        if found is None:
            return None
        if with_slash_sent:
            return self._send(request, fields, found, now)
        os.close(found.file.descriptor)
        location = with_slash(request.path, request.query)
        return Response(308, b"Permanent Redirect\n", headers=((b"location", location), *self._headers))

    def _open(self, names: tuple[bytes, ...], *, gzip: bool) -> _Found | None:
        """Open what these names lead to, or return None when it is a directory. Raises `OSError`."""
        parent, name = self._root.open_parent(names)
        try:
            plain = open_file(parent, name)
            if plain is None:
                return None
            gzipped = open_gzip(parent, name, plain) if gzip else None
        finally:
            os.close(parent)
        if gzipped is not None:
            os.close(plain.descriptor)
        return _Found(gzipped or plain, names[-1], gzipped is not None)

    def _send(self, request: Request, fields: Mapping[bytes, bytes], found: _Found, now: float) -> Response:
        """Make the response; the file is closed, unless it is part of it."""
        file = found.file
        coding = b"gzip" if found.gzipped else b""
        validators = make_validators(file.size, file.modified_ns, file.changed_ns, now, coding=coding)
        metadata = (_NOSNIFF, _GZIPPED) if found.gzipped else (_NOSNIFF,)
        selected = select(request, fields, Representation(file.size, validators, self._headers, metadata), now)
        part = selected.part
        if part is not None and part.size and (part.size > SMALL or request.method == "HEAD"):
            region = FileRegion(os.fdopen(file.descriptor, "rb", buffering=0), part.offset, part.size)
            kind = content_type(found.name, self._types)
            return Response(selected.status, b"", kind, selected.headers, region)
        try:
            if part is None:
                return Response(selected.status, _REFUSALS.get(selected.status, b""), headers=selected.headers)
            body = os.pread(file.descriptor, part.size, part.offset)
        finally:
            os.close(file.descriptor)
        if len(body) != part.size:
            return UNAVAILABLE  # it was cut short since it was opened
        return Response(selected.status, body, content_type(found.name, self._types), selected.headers)


def _value(text: str) -> bytes:
    if not (text and text.isascii() and text.isprintable()):
        raise ConfigError(f"this cannot stand in a field: {text!r}")
    return text.encode("ascii")
