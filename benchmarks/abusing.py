"""The abusers' process: all ways to treat a server badly at once, each as often as the order says, until time is over.

When it is, those that are under way go on until the server ends them. What it does not end stays open until the next
order, so that it can be asked how many connections it still has.
"""

import asyncio
import os
import random
import socket
from collections.abc import Sequence
from multiprocessing.connection import Connection
from time import process_time
from typing import NamedTuple

from benchmarks.abused import DESCRIPTORS, allow_descriptors
from benchmarks.abusers import ABUSERS, CROWD, NONSENSE, Abuser
from benchmarks.link import KEPT, LEFT, REFUSED, RESET, Link, Materials, Tally
from benchmarks.processes import STOP
from benchmarks.traffic import Traffic

NICENESS = 3
"""The bystanders share a core with this process: their own slowness is not to be measured."""

_HOST = "127.0.0.1"
_RECORDED = 40
_SPREAD = 0.2


class Order(NamedTuple):
    """Who is to abuse the server, for how many seconds.

    `patience`: seconds that each connection may last; what lasts longer is kept. `deafness`: the same for those that
    hardly read, and so hear of no end. Without `stubborn` all are reset when the time is over. `widths` replaces those
    of the table. `nonsense` is sent beside what is in stock. `slowness`: those that drip wait so many times longer.
    """

    port: int
    names: Sequence[str]
    seconds: float
    patience: float
    deafness: float
    seed: int = 0
    stubborn: bool = True
    widths: dict[str, int] | None = None
    nonsense: tuple[bytes, ...] = ()
    slowness: float = 1.0


class Outcome(NamedTuple):
    """What came of it, by abuser, and the CPU seconds that it took here."""

    tallies: dict[str, Tally]
    cpu: float


def abuse(pipe: Connection) -> None:
    """Carry out the orders that come through the pipe."""
    allow_descriptors(DESCRIPTORS)
    os.nice(NICENESS)
    recorded = Traffic().messages(_RECORDED)
    kept: list[socket.socket] = []
    while (order := pipe.recv()) != STOP:
        close_all(kept)
        began = process_time()
        materials = Materials((*NONSENSE, *order.nonsense), recorded, order.slowness)
        tallies = asyncio.run(_Assault(order, materials, kept).run())
        pipe.send(Outcome(tallies, process_time() - began))
    close_all(kept)


def close_all(kept: list[socket.socket]) -> None:
    """Close what was kept."""
    while kept:
        kept.pop().close()


class _Assault:
    """One order under way."""

    def __init__(self, order: Order, materials: Materials, kept: list[socket.socket]) -> None:
        self._order = order
        self._materials = materials
        self._kept = kept
        self._tallies = {name: Tally() for name in order.names}
        self._ends_at = 0.0

    async def run(self) -> dict[str, Tally]:
        """Return what came of it."""
        order = self._order
        self._ends_at = asyncio.get_running_loop().time() + order.seconds
        async with asyncio.TaskGroup() as tasks:
            for name in order.names:
                abuser = ABUSERS[name] if name in ABUSERS else CROWD[name]
                for number in range((order.widths or {}).get(name, abuser.width)):
                    chance = random.Random(f"{order.seed}/{name}/{number}")
                    tasks.create_task(self._go_on(abuser, self._tallies[name], chance))
        return self._tallies

    async def _go_on(self, abuser: Abuser, tally: Tally, chance: random.Random) -> None:
        """Begin one connection after the other until the time is over."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(chance.random() * _SPREAD)
        left = 1.0
        while left > 0:  # once in any case, however late this process is let run
            began = loop.time()
            await self._live(abuser, tally, chance, self._patience(abuser, began))
            tally.longest = max(tally.longest, loop.time() - began)
            left = self._ends_at - loop.time()
            pause = abuser.pause * chance.uniform(0.5, 1.5)
            await asyncio.sleep(max(0.0, min(pause, left)))

    def _patience(self, abuser: Abuser, now: float) -> float:
        order = self._order
        if not order.stubborn:
            return self._ends_at - now
        return order.patience if abuser.window is None else order.deafness

    async def _live(self, abuser: Abuser, tally: Tally, chance: random.Random, patience: float) -> None:
        """Live through one connection."""
        sock = _make_socket(abuser.window)
        tally.connections += 1
        link = Link(sock, tally, self._materials)
        try:
            async with asyncio.timeout(patience):
                await asyncio.get_running_loop().sock_connect(sock, (_HOST, self._order.port))
                await abuser.live(link, chance)
        except TimeoutError:
            if self._order.stubborn:
                tally.ends[KEPT] += 1
                self._kept.append(sock)
                return
            link.ended = LEFT
            link.reset()
        except OSError as error:
            link.ended = REFUSED if isinstance(error, ConnectionRefusedError) else RESET
        tally.ends[link.ended] += 1
        sock.close()


def _make_socket(window: int | None) -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if window is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    return sock
