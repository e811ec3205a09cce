"""What outlives the process: which events were taken on and how they ended, and how far Long Poll has come.

Layer 3, pure: protocols, kept by a store. Without one, what an earlier process has acknowledged and not done is lost.
"""

from collections.abc import Iterable
from typing import Protocol


class Entry(Protocol):
    """An event in the journal."""

    @property
    def key(self) -> str:
        """What names it."""

    @property
    def body(self) -> bytes:
        """Return the envelope as JSON; it need not be there once the event has ended."""

    @property
    def began_at(self) -> float:
        """Unix seconds."""

    @property
    def ended(self) -> bool | None:
        """None while it has not ended, else whether it ended well."""


class Journal(Protocol):
    """Keeps events in the order in which they came. What `append` returns from is safe when the process dies.

    Each method may raise `OSError`: then nothing was kept.
    """

    def append(self, key: str, body: bytes, now: float) -> None:
        """Keep an event before it is acknowledged; one that is there already begins anew."""

    def finish(self, key: str, now: float, *, well: bool) -> None:
        """Note how it has ended. Its body is not needed any more."""

    def entries(self, since: float) -> Iterable[Entry]:
        """Return all that has not ended, and what began since then."""

    def forget(self, before: float) -> None:
        """Let go of what has ended and began before then."""

    def save_position(self, name: str, value: str) -> None:
        """Keep how far a poller has come."""

    def position(self, name: str) -> str | None:
        """Return it."""
