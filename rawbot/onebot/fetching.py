"""Downloads for `upload_file` with a URL: by the shell, under its rules for URLs of peers.

Layer 3, pure.
"""

import math
from collections.abc import Awaitable, Iterable, Mapping

from rawbot.errors import StateError
from rawbot.event import Attachment
from rawbot.exchange import Service
from rawbot.media import Media
from rawbot.onebot.file_store import FetchURL


class UrlAttachment(Attachment):
    """A file that is what its URL gives, with nothing to decode."""

    __slots__ = ()

    def decoder(self) -> "_AsItIs":
        """Return what leaves the bytes alone."""
        return _AsItIs()


class _AsItIs:
    def update(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""


def fetch_by(services: Iterable[Service]) -> FetchURL:
    """Return what downloads through the first of these services that belongs to a running app."""

    def fetch(url: str, headers: Mapping[str, str], max_bytes: int) -> Awaitable[Media]:
        fields = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
        attachment = UrlAttachment("file", url, expires_at=math.inf, headers=fields)
        attachment.fetch = next((service.fetch for service in services if service.fetch is not None), None)
        if attachment.fetch is None:
            raise StateError("this implementation belongs to no running app, so nothing can download")
        return attachment.read(max_bytes=max_bytes)

    return fetch
