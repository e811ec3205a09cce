"""A journal in memory: it outlives whatever the test lets crash around it, and fails when it is told to."""

from dataclasses import dataclass


@dataclass
class Entry:
    key: str
    body: bytes
    began_at: float
    ended: bool | None = None


class MemoryJournal:
    """Fits `rawbot.vk.journal`. `broken` has every method raise `OSError`."""

    def __init__(self) -> None:
        self.rows: dict[str, Entry] = {}
        self.positions: dict[str, str] = {}
        self.broken = False

    @property
    def open(self) -> list[Entry]:
        return [entry for entry in self.rows.values() if entry.ended is None]

    def append(self, key: str, body: bytes, now: float) -> None:
        self._work()
        self.rows.pop(key, None)
        self.rows[key] = Entry(key, body, now)

    def finish(self, key: str, now: float, *, well: bool) -> None:  # noqa: ARG002 - the protocol's shape
        self._work()
        entry = self.rows[key]
        entry.ended, entry.body = well, b""

    def entries(self, since: float) -> list[Entry]:
        self._work()
        return [entry for entry in self.rows.values() if entry.ended is None or entry.began_at >= since]

    def forget(self, before: float) -> None:
        self._work()
        old = [key for key, entry in self.rows.items() if entry.ended is not None and entry.began_at < before]
        for key in old:
            del self.rows[key]

    def save_position(self, name: str, value: str) -> None:
        self._work()
        self.positions[name] = value

    def position(self, name: str) -> str | None:
        self._work()
        return self.positions.get(name)

    def _work(self) -> None:
        if self.broken:
            raise OSError("the disk is full")
