"""Which Content-Type a file gets, by the end of its name.

Layer 2, pure. A table of our own: `mimetypes` reads what the system has installed, so that the same file would be
script on one machine and plain text on another, and with `nosniff` browsers go by the type alone.

UTF-8 is named for text and nowhere else: JSON has no such parameter (RFC 8259, section 11), XML and SVG say it inside.
"""

from collections.abc import Mapping
from types import MappingProxyType

UNKNOWN = b"application/octet-stream"

_TYPES = {
    "text/html": "html htm",
    "text/css": "css",
    "text/javascript": "js mjs",  # RFC 9239
    "text/plain": "txt log",
    "text/markdown": "md markdown",
    "text/csv": "csv",
    "text/vtt": "vtt",
    "text/calendar": "ics",
    "application/json": "json map",
    "application/manifest+json": "webmanifest",
    "application/ld+json": "jsonld",
    "application/xml": "xml xsl",
    "application/atom+xml": "atom",
    "application/rss+xml": "rss",
    "application/xhtml+xml": "xhtml",
    "application/wasm": "wasm",
    "application/pdf": "pdf",
    "application/rtf": "rtf",
    "application/epub+zip": "epub",
    "application/zip": "zip",
    "application/gzip": "gz tgz",
    "application/x-tar": "tar",
    "application/x-7z-compressed": "7z",
    "application/msword": "doc",
    "application/vnd.ms-excel": "xls",
    "application/vnd.ms-powerpoint": "ppt",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "image/png": "png",
    "image/jpeg": "jpg jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/svg+xml": "svg",
    "image/bmp": "bmp",
    "image/tiff": "tif tiff",
    "image/heic": "heic",
    "image/vnd.microsoft.icon": "ico",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/ogg": "ogg oga opus",
    "audio/wav": "wav",
    "audio/flac": "flac",
    "audio/aac": "aac",
    "audio/amr": "amr",  # what WeCom's voice messages are
    "video/mp4": "mp4 m4v",
    "video/webm": "webm",
    "video/quicktime": "mov",
    "video/ogg": "ogv",
    "font/woff": "woff",
    "font/woff2": "woff2",
    "font/ttf": "ttf",
    "font/otf": "otf",
}


def _with_charset(media_type: str) -> bytes:
    return f"{media_type}; charset=utf-8".encode("ascii") if media_type.startswith("text/") else media_type.encode()


CONTENT_TYPES: Mapping[bytes, bytes] = MappingProxyType(
    {suffix.encode("ascii"): _with_charset(name) for name, suffixes in _TYPES.items() for suffix in suffixes.split()}
)
"""Content-Type by suffix: lower case, without the dot. From IANA's registry of media types, November 2026."""


def content_type(name: bytes, types: Mapping[bytes, bytes] = CONTENT_TYPES) -> bytes:
    """Return the Content-Type of a file; what stands behind the last dot of its name counts, in any case."""
    return types.get(name.rpartition(b".")[2].lower(), UNKNOWN) if b"." in name else UNKNOWN
