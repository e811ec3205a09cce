"""What one WebSocket may cost: every bound has a name, a reason and a keyword argument.

Layer 2, pure.
"""

import math
from dataclasses import dataclass

from rawbot.errors import ConfigError


@dataclass(frozen=True, slots=True)
class WebSocketSettings:
    """Sizes are in bytes, times in seconds."""

    max_size: int = 1024 * 1024
    """A message, however it is cut or compressed, else 1009."""
    max_queue: int = 1000
    """Messages that wait while the peer does not read, else 1013: half a minute of a language model's pieces."""
    max_queue_size: int = 4 * 1024 * 1024
    """Bytes that wait likewise; a single message may have more."""
    ping_interval: float | None = 20.0
    """Silence before a ping: well below the 60 s after which common proxies hang up. None for no pings."""
    ping_timeout: float = 20.0
    """From a ping to any frame of the peer's, else 1011. So no frame may take longer than both of these together."""
    message_timeout: float = 60.0
    """From a message's first byte to its last, however it drips, else 1008."""
    close_timeout: float = 5.0
    """From our Close to theirs, then the connection is cut."""
    per_message_deflate: bool = False
    """Whether to compress where the peer offers it (RFC 7692), each message by itself.

    Off, since chat messages are short: 256 bytes become about 190, and cost 10 µs there and back. And whoever can have
    words of his own compressed beside a secret learns about it from the size. When on, nothing is kept between
    messages, which would be some 300 KiB for each connection with zlib's defaults.
    """

    def __post_init__(self) -> None:
        if min(self.max_size, self.max_queue, self.max_queue_size) < 1:
            raise ConfigError("the sizes of a WebSocket must be 1 or more")
        interval = self.ping_timeout if self.ping_interval is None else self.ping_interval
        for seconds in (interval, self.ping_timeout, self.message_timeout, self.close_timeout):
            if not 0 < seconds < math.inf:
                raise ConfigError("the times of a WebSocket must be finite and more than 0")
