"""A file while it downloads: decoded, bounded, kept in memory or on disk. The blocking half of `client`.

Layer 3. No asyncio here: the caller decides which calls go to a thread. No HTTP either.
"""

import contextlib
import os
import tempfile
import threading
from typing import IO

from rawbot.errors import FetchError, StateError
from rawbot.event import Attachment
from rawbot.media import MAGIC_BYTES, Media, decode_filename, default_name, sniff_type


class Download:
    """A file as it grows, in memory or beside `path`. Blocking; locked, as the thread of a cancelled task runs on."""

    __slots__ = (
        "_decoder",
        "_file",
        "_head",
        "_lock",
        "_max_bytes",
        "_over",
        "_pieces",
        "_size",
        "attachment",
        "path",
    )

    def __init__(self, attachment: Attachment, max_bytes: int, path: str | None) -> None:
        self.path = path
        self.attachment = attachment
        self._decoder = attachment.decoder()
        self._max_bytes = max_bytes
        self._file: IO[bytes] | None = None
        self._pieces: list[bytes] = []
        self._head = b""
        self._size = 0
        self._over = False
        self._lock = threading.Lock()

    def take(self, data: bytes) -> None:
        """Decode and keep the next piece. Raises `ProtocolError`, or `FetchError` when the file grows too large."""
        with self._lock:
            self._keep(self._decoder.update(data))

    def finish(self, data: bytes, disposition: bytes) -> Media:
        """Take the last piece and describe the file, which now appears at `path`. Raises as `take` does."""
        with self._lock:
            self._keep(self._decoder.update(data) + self._decoder.finish())
            if self._file is not None and self.path is not None:
                self._file.close()
                os.replace(self._file.name, self.path)  # noqa: PTH105 - the argument is a str already
            self._over = True
        content_type = sniff_type(self._head)
        name = self.attachment.name or decode_filename(disposition) or default_name(self.attachment.kind, content_type)
        return Media(name, content_type, self._size, b"".join(self._pieces), self.path)

    @property
    def leaves_traces(self) -> bool:
        """Whether there may be something for `discard` to remove."""
        return self.path is not None and not self._over

    def discard(self) -> None:
        """Leave nothing behind, unless `finish` came first. What a thread is still bringing then fails."""
        with self._lock:
            if self._file is not None and not self._over:
                with contextlib.suppress(OSError):  # a full disk, once more
                    self._file.close()
                os.unlink(self._file.name)  # noqa: PTH108 - as above
            self._over = True

    def _keep(self, data: bytes) -> None:
        if self._over:
            raise StateError("the download was given up")
        self._size += len(data)
        if self._size > self._max_bytes:
            raise FetchError(f"the file is larger than the {self._max_bytes} bytes allowed")
        if len(self._head) < MAGIC_BYTES:
            self._head = (self._head + data[:MAGIC_BYTES])[:MAGIC_BYTES]
        if self.path is None:
            self._pieces.append(data)
            return
        if self._file is None:
            folder = os.path.dirname(self.path)  # noqa: PTH120 - the argument is a str already
            self._file = tempfile.NamedTemporaryFile(dir=folder or ".", suffix=".part", delete=False)  # noqa: SIM115 - closed by finish or discard
        self._file.write(data)
