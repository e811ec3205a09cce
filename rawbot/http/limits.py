"""How much of a request is taken in: every limit has a name, a reason and a keyword argument.

Layer 2, pure.
"""

from dataclasses import dataclass

from rawbot.errors import ConfigError

_SHORTEST_CHUNK_LINE = 18
"""Sixteen digits, CR and LF."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes, and numbers of things, that one request may have."""

    max_target_size: int = 8 * 1024
    """The request target, else 414. RFC 9112, section 3, asks for 8,000 at least."""
    max_header_size: int = 16 * 1024
    """The whole head, request line included, else 431. A platform's callback needs less than one thousand."""
    max_header_count: int = 100
    """Fields in the head, and again in the trailers, else 431: as many as hyper and gunicorn take."""
    max_body_size: int = 1024 * 1024
    """The body, else 413, at once when Content-Length or a chunk declares more. Real callbacks stay below 30 KB."""
    max_chunk_line_size: int = 256
    """The line before a chunk, else 413. AWS's `chunk-signature`, the longest extension in use, makes it about 90."""
    max_chunk_overhead: int = 16 * 1024
    """What a chunked body may take beside its data, on top of eight bytes for each byte of data, else 413."""
    max_trailer_size: int = 4 * 1024
    """The trailers of a chunked body, their empty line included, else 431. They are read and thrown away."""

    def __post_init__(self) -> None:
        if self.max_target_size < 1 or self.max_header_size <= self.max_target_size:
            raise ConfigError("max_header_size must be larger than max_target_size, and both above 0")
        if self.max_header_count < 1:
            raise ConfigError("max_header_count must be 1 or more: every request has a Host")
        if self.max_body_size < 0 or self.max_chunk_overhead < 0:
            raise ConfigError("max_body_size and max_chunk_overhead must not be negative")
        if self.max_chunk_line_size < _SHORTEST_CHUNK_LINE or self.max_trailer_size < len(b"\r\n"):
            raise ConfigError("max_chunk_line_size must be 18 or more, max_trailer_size 2 or more")
