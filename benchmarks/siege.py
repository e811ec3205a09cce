"""A server under siege: three processes, what they are told, and what the kernel tells of the server's.

Server, bystanders and abusers are processes of their own, so that what the server holds can be read from `/proc`: this
needs Linux. Where there are two cores, the server has one for itself.
"""

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

from benchmarks import abusing, bystanders
from benchmarks.abused import COLLECT, LOOK, Address, State, Terms, serve_abused
from benchmarks.abusing import Outcome, abuse
from benchmarks.bystanders import READY, Seen, stand_by
from benchmarks.processes import receive, started
from benchmarks.record import usable_cores
from rawbot import Timeouts

SLACK = 5.0
"""Seconds beyond the time-outs after which what is left is called left: the machine may be busy."""

_LISTENING, _TIME_WAIT = "0A", "06"
_LOOKS_EVERY = 0.05


class Footprint(NamedTuple):
    """What the server holds; memory in bytes."""

    memory: int
    """Resident, when all garbage was collected and given back."""
    descriptors: int
    connections: int
    unsent: int
    """What the kernel holds of answers on connections that the server has closed: taken by nobody."""


class Siege:
    """A server with those who use it and those who abuse it."""

    def __init__(self, terms: Terms, server: Connection, others: Connection, abusers: Connection) -> None:
        address = receive(server)
        assert isinstance(address, Address)
        self.port, self.pid = address
        self.terms = terms
        self._server = server
        self._others = others
        self._abusers = abusers

    def look(self, word: str = LOOK) -> State:
        """Return what the server says of itself; its longest hold is counted anew from now on."""
        self._server.send(word)
        state = receive(self._server)
        assert isinstance(state, State)
        return state

    def stand_by(self, seconds: float, *, keepers: int = 8, comers: int = 2, users: int = 6) -> Seen:
        """Let the bystanders use the server, and return what they saw."""
        self._begin_standing_by(seconds, keepers=keepers, comers=comers, users=users)
        return self._seen()

    def assail(
        self,
        seconds: float,
        names: Sequence[str],
        *,
        seed: int = 0,
        widths: dict[str, int] | None = None,
        nonsense: tuple[bytes, ...] = (),
        slowness: float = 1.0,
        users: int = 6,
        comers: int = 2,
    ) -> tuple[Seen, Outcome]:
        """Let these abusers come while the bystanders use the server; return when the server has ended them all.

        What it has not ended within `patience` stays connected, until abusers come the next time.
        """
        self._begin_standing_by(seconds, keepers=8, comers=comers, users=users)
        order = self._order(names, seconds)
        self._abusers.send(order._replace(seed=seed, widths=widths, nonsense=nonsense, slowness=slowness))
        return self._seen(), self._outcome()

    def try_alone(self, name: str, seconds: float) -> Outcome:
        """Let one kind of abuser come, with nobody else there, and be gone in the end."""
        self._abusers.send(self._order([name], seconds)._replace(stubborn=False))
        return self._outcome()

    def settle(self) -> Footprint:
        """Wait until no connection is left, or should be, here and in the kernel; return what is held then."""
        gives_up_at = monotonic() + self.patience
        while (self.look().connections or read_unsent(self.port)) and monotonic() < gives_up_at:
            sleep(_LOOKS_EVERY)
        return self.footprint()

    def footprint(self) -> Footprint:
        """Return what the server holds now."""
        connections = self.look(COLLECT).connections
        descriptors = sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())
        return Footprint(read_memory(self.pid), descriptors, connections, read_unsent(self.port))

    @property
    def patience(self) -> float:
        """Seconds within which the server has to be rid of any connection that wants nothing good."""
        t = self.terms.timeouts
        return max(t.header, t.body, t.keep_alive) + t.write + t.linger + SLACK

    def _order(self, names: Sequence[str], seconds: float) -> abusing.Order:
        return abusing.Order(self.port, names, seconds, self.patience, 2 * self.terms.timeouts.write)

    def _begin_standing_by(self, seconds: float, *, keepers: int, comers: int, users: int) -> None:
        self._others.send(bystanders.Order(self.port, seconds, keepers, comers, users))
        assert receive(self._others) == READY

    def _seen(self) -> Seen:
        seen = receive(self._others)
        assert isinstance(seen, Seen)
        return seen

    def _outcome(self) -> Outcome:
        outcome = receive(self._abusers)
        assert isinstance(outcome, Outcome)
        return outcome


@contextlib.contextmanager
def besieged(terms: Terms) -> Iterator[Siege]:
    """Start the three processes."""
    cores = usable_cores()
    first, second = (cores[0], cores[1]) if len(cores) > 1 else (None, None)
    with (
        started(partial(serve_abused, terms), first) as server,
        started(stand_by, second) as others,
        started(abuse, second) as abusers,
    ):
        yield Siege(terms, server, others, abusers)


def short(seconds: float, *, keep_alive: float) -> Timeouts:
    """Return time-outs of about so many seconds, so that a short run sees many of each."""
    return Timeouts(
        keep_alive=keep_alive, header=seconds, body=1.5 * seconds, write=1.5 * seconds, linger=seconds / 2,
        graceful=0.0, settle=0.0,
    )  # fmt: skip


def read_memory(pid: int, *, peak: bool = False) -> int:
    """Return the resident memory of a process in bytes, or what it was at most since `forget_peak`."""
    name = "VmHWM:" if peak else "VmRSS:"
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024


def forget_peak(pid: int) -> None:
    """Let the peak of a process's memory begin anew (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


def read_unsent(port: int) -> int:
    """Return the bytes that wait to be sent from this port by connections that no process has any more (inode 0)."""
    unsent = 0
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        _, local, _, state, queues, *rest = line.split()
        orphan = rest[4] == "0" and state not in (_LISTENING, _TIME_WAIT)
        if orphan and int(local.partition(":")[2], 16) == port:
            unsent += int(queues.partition(":")[0], 16)
    return unsent
