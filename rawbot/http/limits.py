"""How much of a request is taken in: every limit has a name, a reason and a keyword argument.

Layer 2, pure.
"""

from dataclasses import dataclass

from rawbot.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes that one request may have."""

    max_target_size: int = 8 * 1024
    """The request target, else 414. RFC 9112, section 3, asks for 8,000 at least."""
    max_header_size: int = 16 * 1024
    """The whole head, request line included, else 431. A platform's callback needs less than one thousand."""
    max_body_size: int = 1024 * 1024
    """The body, else 413, at once when Content-Length declares more. Real callbacks stay below 30 KB."""

    def __post_init__(self) -> None:
        if self.max_target_size < 1 or self.max_header_size <= self.max_target_size:
            raise ConfigError("max_header_size must be larger than max_target_size, and both above 0")
        if self.max_body_size < 0:
            raise ConfigError("max_body_size must not be negative")
