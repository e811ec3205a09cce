"""Events that were taken on and how they ended, and how far pollers have come: kept in one file of SQLite's.

Layer 3, blocking: called in the loop, since what is not kept yet must not be acknowledged. Fits `rawbot.vk.journal`.

The table is a log: events are put at its end, and their ends are noted by number. No index is kept beside it, since the
process has the file to itself and knows by heart which keys have not ended.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from math import inf
from typing import Any, Literal, NamedTuple

from rawbot.errors import ConfigError, StateError

Synchronous = Literal["NORMAL", "FULL"]
"""What `append` waits for. NORMAL: that the system has it, so it outlives the process. FULL: that the disk has it, so
it outlives the machine's power, too."""

# Measured with events of 600 bytes, per event and its end together (CPython 3.11, SQLite 3.40): 14 µs of CPU; with an
# index on the keys and one on the times it was 22. On a virtual disk with ext4, NORMAL took 55 µs: once in 300 calls
# it writes into the table what its own log has gathered, and waits 6 ms, 22 at most. FULL took 1 to 3 ms, 24 at most.

WAIT = 5.0
"""Seconds for a process that is about to end to let go of the file."""

FORGOTTEN_AT_ONCE = 1000
"""Events that one call of `forget` takes out, in 1 to 5 ms: it keeps up with as many between two calls."""

_APPLICATION = 0x72617762  # "rawb"
_LAYOUT = 1
_SCHEMA = f"""
BEGIN EXCLUSIVE;
CREATE TABLE events (number INTEGER PRIMARY KEY, key TEXT NOT NULL, body BLOB NOT NULL, began_at REAL NOT NULL,
    ended INTEGER);
CREATE TABLE positions (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_LAYOUT};
COMMIT;
"""

_APPEND = "INSERT INTO events (key, body, began_at) VALUES (?, ?, ?)"
_FINISH = "UPDATE events SET ended = ?, body = x'' WHERE number = ?"
_BEGIN_ANEW = """UPDATE events SET number = (SELECT max(number) + 1 FROM events), body = ?, began_at = ?
    WHERE number = ? RETURNING number"""
_ENTRIES = "SELECT key, body, began_at, ended FROM events WHERE ended IS NULL OR began_at >= ? ORDER BY number"
_ENDED = "SELECT number, began_at FROM events WHERE ended IS NOT NULL ORDER BY number LIMIT ?"
_FORGET = "DELETE FROM events WHERE ended IS NOT NULL AND number <= ?"
_POSITION = "SELECT value FROM positions WHERE name = ?"
_SAVE = "INSERT INTO positions VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"

_REASONS = {
    sqlite3.SQLITE_BUSY: "is in use by another process: each needs a file of its own",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: its folder must be there, and it must be a file",
    sqlite3.SQLITE_PERM: "may not be opened by this user",
    sqlite3.SQLITE_READONLY: "cannot be written to by this user",
    sqlite3.SQLITE_NOTADB: "is no journal, but some other file",
    sqlite3.SQLITE_CORRUPT: "is damaged: move it out of the way, and a new one is made",
}


class Entry(NamedTuple):
    """An event in the journal."""

    key: str
    body: bytes
    """Empty once it has ended."""
    began_at: float
    """Unix seconds."""
    ended: bool | None
    """None while it has not ended, else whether it ended well."""


class SqliteJournal:
    """The journal in the file at `path`, which is made if there is none, for its owner alone.

    The file belongs to this process until `close`, for `app.on_shutdown`; whoever comes next waits `wait` seconds for
    it. Raises `ConfigError` for a file that is in use, damaged, or no journal. The other methods raise `OSError` when
    the disk fails, and `StateError` after `close`.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, synchronous: Synchronous = "NORMAL", wait: float = WAIT
    ) -> None:
        if synchronous not in ("NORMAL", "FULL"):
            raise ConfigError("synchronous is NORMAL or FULL")
        self._path = os.fspath(path)
        self._connection: sqlite3.Connection | None = None
        try:
            self._connection = _open(self._path, synchronous, wait)
            self._open = _read_open(self._connection)
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise ConfigError(f"the journal at {self._path} {_reason(error)}") from None
        except ConfigError:
            self.close()
            raise
        self._oldest = -inf
        """No event that has ended began before this: `forget` need not look."""

    def __repr__(self) -> str:
        return f"<SqliteJournal at {self._path}>"

    def __len__(self) -> int:
        """Count the events that have not ended."""
        return len(self._open)

    def append(self, key: str, body: bytes, now: float) -> None:
        """Keep an event; one that is there already begins anew. What this returns from outlives the process."""
        former = self._open.get(key)
        if former is None:
            number = self._execute(_APPEND, key, body, now).lastrowid or 0
        else:
            [(number,)] = self._fetch(_BEGIN_ANEW, body, now, former[0])
        self._open[key] = number, now

    def finish(self, key: str, now: float, *, well: bool) -> None:  # noqa: ARG002 - the protocol's shape
        """Note how an event has ended, and let go of its body. Nothing happens when it is not there."""
        found = self._open.get(key)
        if found is None:
            return
        number, began_at = found
        self._execute(_FINISH, well, number)
        self._oldest = min(self._oldest, began_at)
        del self._open[key]

    def entries(self, since: float) -> list[Entry]:
        """Return what has not ended, and what began since then, in the order in which they began; each key once."""
        found: dict[str, Entry] = {}
        for key, body, began_at, ended in self._fetch(_ENTRIES, since):
            found.pop(key, None)  # it has failed then, and began anew
            found[key] = Entry(key, body, began_at, None if ended is None else bool(ended))
        return list(found.values())

    def forget(self, before: float) -> None:
        """Let go of what has ended and began before then; of `FORGOTTEN_AT_ONCE` events at most, the oldest first."""
        if before <= self._oldest:
            return
        last, count = None, 0
        self._oldest = before
        for number, began_at in self._fetch(_ENDED, FORGOTTEN_AT_ONCE):
            if began_at >= before:
                self._oldest = began_at
                break
            last, count = number, count + 1
        if count == FORGOTTEN_AT_ONCE:
            self._oldest = -inf  # there may be more
        if last is not None:
            self._execute(_FORGET, last)

    def save_position(self, name: str, value: str) -> None:
        """Keep how far a poller has come."""
        self._execute(_SAVE, name, value)

    def position(self, name: str) -> str | None:
        """Return it, or None where nothing was kept."""
        return next((value for (value,) in self._fetch(_POSITION, name)), None)

    def close(self) -> None:
        """Let go of the file. Closing twice does nothing."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):  # what was appended is there all the same
                connection.close()

    def _execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        if self._connection is None:
            raise StateError("the journal is closed")
        try:
            return self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise self._blame(error) from None

    def _fetch(self, statement: str, *values: object) -> Iterator[tuple[Any, ...]]:
        with closing(self._execute(statement, *values)) as rows:
            try:
                yield from rows
            except sqlite3.Error as error:
                raise self._blame(error) from None

    def _blame(self, error: sqlite3.Error) -> OSError:
        return OSError(f"the journal at {self._path} failed: {error}")


def _open(path: str, synchronous: Synchronous, wait: float) -> sqlite3.Connection:
    """Open the file, locked, checked and laid out."""
    with suppress(FileExistsError):
        # SQLite would let everybody read it. A file that exists is left alone: to close it would break another's lock.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=wait, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection, path, synchronous)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: str, synchronous: Synchronous) -> None:
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA secure_delete = ON")  # what users have said does not stay where it was
    if _ask(connection, "PRAGMA quick_check(1)") != "ok":
        raise ConfigError(f"the journal at {path} {_REASONS[sqlite3.SQLITE_CORRUPT]}")
    if _ask(connection, "SELECT count(*) FROM sqlite_master") == 0:
        connection.executescript(_SCHEMA)
    elif _ask(connection, "PRAGMA application_id") != _APPLICATION:
        raise ConfigError(f"the journal at {path} is another program's database")
    elif _ask(connection, "PRAGMA user_version") != _LAYOUT:
        raise ConfigError(f"the journal at {path} was made by another version of rawbot")
    connection.executescript("BEGIN EXCLUSIVE; COMMIT")  # from here on it is locked


def _ask(connection: sqlite3.Connection, statement: str) -> object:
    return connection.execute(statement).fetchone()[0]


def _read_open(connection: sqlite3.Connection) -> dict[str, tuple[int, float]]:
    """Return number and beginning of the events that have not ended, by key."""
    rows = connection.execute("SELECT key, number, began_at FROM events WHERE ended IS NULL ORDER BY number")
    return {key: (number, began_at) for key, number, began_at in rows}


def _reason(error: sqlite3.Error | OSError) -> str:
    if isinstance(error, OSError):
        return f"cannot be made: {error.strerror}"
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # of the extended code, the reason
    return _REASONS.get(code, f"cannot be used: {error}")
