"""How many descriptors a program may have open: as many as its connections need, as far as the system lets it.

Engine room. Only `run` asks for them: the limit is the process's, and within somebody else's it is his.
"""

import logging
from collections.abc import Sequence

from rawbot.aio.listening.listen import Listen

SPARE = 256
"""Descriptors beside the connections: listening sockets, logs, outgoing connections, files that are sent."""

log = logging.getLogger("rawbot")


def needed_descriptors(max_connections: int, places: Sequence[Listen]) -> int:
    """Return how many a server may come to: what is not through its PROXY header or handshake is no connection yet."""
    by_hand = (place.max_handshakes for place in places if place.tls is not None or place.proxy_protocol)
    return max_connections + sum(by_hand) + SPARE


def allow_descriptors(max_connections: int, places: Sequence[Listen]) -> None:
    """Raise the soft limit as far as needed; log a warning when the hard one is below that.

    The soft limit is 1,024 nearly everywhere, for the sake of select(2), which no loop here uses.
    """
    try:
        import resource  # noqa: PLC0415 - not on Windows, where there is no such limit
    except ImportError:
        return
    needed = needed_descriptors(max_connections, places)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # macOS has a limit below "unlimited"
        wanted = soft
    if wanted < needed:
        log.warning(
            "this process may open %d files, and %d connections may need %d: raise its limit (ulimit -n, LimitNOFILE=) "
            "or lower capacity.max_connections",
            wanted,
            max_connections,
            needed,
        )
