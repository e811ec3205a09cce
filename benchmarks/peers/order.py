"""What a peer is told when it is started."""

from dataclasses import dataclass
from typing import Literal

HOST = "127.0.0.1"

Ciphers = Literal["fresh", "cached"]
Loop = Literal["asyncio", "uvloop"]


@dataclass(frozen=True, slots=True)
class Order:
    """Serve on this port of `HOST`, on this loop; `ciphers` counts for those that have a choice."""

    port: int
    loop: Loop
    ciphers: Ciphers
