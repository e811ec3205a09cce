"""What a downloaded file turned out to be: its bytes or place, its name, its type.

Layer 1, pure. The type comes from the first bytes, since what a server declares is often
`application/octet-stream`; the name from Content-Disposition.
"""

import base64
import re
from dataclasses import dataclass
from urllib.parse import unquote

from rawbot.errors import StateError

OCTETS = "application/octet-stream"

MAGIC_BYTES = 16
"""How many leading bytes `sniff_type` looks at."""

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"#!AMR", "audio/amr"),
    (b"\x1aE\xdf\xa3", "video/webm"),
)


@dataclass(slots=True)
class Media:
    """A file: in memory (`data`) or on disk (`path`)."""

    name: str
    content_type: str
    size: int
    data: bytes = b""
    path: str | None = None

    def __repr__(self) -> str:
        return f"<Media {self.content_type} {self.size} bytes>"  # neither content nor name in a log line

    def data_url(self) -> str:
        """Return the file as a `data:` URL (RFC 2397), the form in which vision models take images.

        Raises `StateError` for a file on disk, whose bytes are not here.
        """
        if self.path is not None:
            raise StateError("only a file in memory has a data URL: use read() in place of save()")
        return f"data:{self.content_type};base64,{base64.b64encode(self.data).decode('ascii')}"


def sniff_type(head: bytes) -> str:
    """Tell the media type from the first `MAGIC_BYTES` bytes; `application/octet-stream` when nothing fits."""
    for magic, content_type in _MAGIC:
        if head.startswith(magic):
            return content_type
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}.get(head[8:12], OCTETS)
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "image/bmp"
    if head[4:8] == b"ftyp":
        return {b"qt  ": "video/quicktime", b"heic": "image/heic"}.get(head[8:12], "video/mp4")
    return OCTETS


_EXTENSIONS = {
    OCTETS: "bin",
    "application/vnd.rar": "rar",
    "application/x-7z-compressed": "7z",
    "application/gzip": "gz",
    "audio/mpeg": "mp3",
    "image/jpeg": "jpg",
    "video/quicktime": "mov",
    "video/x-msvideo": "avi",
}


def default_name(kind: str, content_type: str) -> str:
    """Name a file that came without a name: `image.png`. The type is one that `sniff_type` tells."""
    return f"{kind}.{_EXTENSIONS.get(content_type) or content_type.rpartition('/')[2]}"


_EXTENDED = re.compile(r"filename\*\s*=\s*utf-8'[^']*'([^;\s]+)", re.IGNORECASE)
_QUOTED = re.compile(r'filename\s*=\s*"((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_TOKEN = re.compile(r"filename\s*=\s*([^;\s\"]+)", re.IGNORECASE)


def decode_filename(disposition: bytes) -> str:
    """Return the file name of a Content-Disposition value, or "" (RFC 6266: `filename*` wins over `filename`).

    Directories, control characters, leading dots and outer spaces are taken off, so the name may be shown and, inside
    a folder of the caller's, used; 255 bytes at most.
    """
    text = disposition.decode("utf-8", "replace")
    if found := _EXTENDED.search(text):
        name = unquote(found[1])
    elif found := _QUOTED.search(text):
        name = re.sub(r"\\(.)", r"\1", found[1])
        name = unquote(name) if "%" in name else name
    elif found := _TOKEN.search(text):
        name = unquote(found[1])
    else:
        return ""
    name = re.split(r"[/\\]", name)[-1]
    name = "".join(c for c in name if c.isprintable()).lstrip(". ")
    return name.encode("utf-8", "ignore")[:255].decode("utf-8", "ignore").rstrip()
