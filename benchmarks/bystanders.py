"""The bystanders' process: normal clients at a steady rate, who look at every answer and at how long it took.

WeCom's users talk through the simulator, encrypted, each over a connection of their own, until the bubble has ended.
Others keep a connection and have their words said back, and some come for one request and go. Times are counted from
when a request was due, so that one which waits for a late one before it does not look fast.
"""

import asyncio
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import NamedTuple

from benchmarks.abused import ECHO, GREETING
from benchmarks.processes import STOP
from benchmarks.traffic import KEY, PATH, TOKEN
from rawbot.simulate.wecom import WeComPlatform

READY = "ready"
PATIENCE = 5.0
"""Seconds for an answer, WeCom's own; then it is lost."""

_HOST = "127.0.0.1"
_ASKS_EVERY = 0.1
_COMES_EVERY = 0.2
_SPEAKS_EVERY = 0.4
_POLLS_EVERY = 0.1
_REPORTED = 5


class Order(NamedTuple):
    """Who is to stand by, and for how many seconds."""

    port: int
    seconds: float
    keepers: int = 8
    comers: int = 2
    users: int = 6


@dataclass(slots=True)
class Seen:
    """What the bystanders saw; times in seconds."""

    sent: int = 0
    """Requests, a whole conversation counted as one."""
    answered: int = 0
    wrong: list[str] = field(default_factory=list)
    """What went wrong with the first few of the others."""
    times: list[float] = field(default_factory=list)
    """From when a plain request was due to its whole answer."""
    first_words: list[float] = field(default_factory=list)
    """The same of WeCom's callbacks, to their first answer."""

    @property
    def lost(self) -> int:
        """How many were not answered, or not rightly."""
        return self.sent - self.answered

    def add(self, other: "Seen") -> None:
        """Count what was seen at another time, too."""
        self.sent += other.sent
        self.answered += other.answered
        self.wrong += other.wrong
        self.times += other.times
        self.first_words += other.first_words

    def miss(self, why: str) -> None:
        """Note what is wrong with one."""
        if len(self.wrong) < _REPORTED:
            self.wrong.append(why)


def stand_by(pipe: Connection) -> None:
    """Carry out the orders that come through the pipe; say `READY` when all are connected, and what was seen."""
    while (order := pipe.recv()) != STOP:
        pipe.send(asyncio.run(_stand_by(order, pipe)))


async def _stand_by(order: Order, pipe: Connection) -> Seen:
    seen = Seen()
    loop = asyncio.get_running_loop()
    keepers = [_Keeper(order.port, seen) for _ in range(order.keepers)]
    for keeper in keepers:
        await keeper.connect()
    pipe.send(READY)
    ends_at = loop.time() + order.seconds
    async with asyncio.TaskGroup() as tasks:
        for number, keeper in enumerate(keepers):
            tasks.create_task(keeper.ask_until(ends_at, delay=_ASKS_EVERY * number / order.keepers))
        for number in range(order.comers):
            tasks.create_task(_come_until(ends_at, order.port, seen, delay=_COMES_EVERY * number / order.comers))
        for number in range(order.users):
            tasks.create_task(_talk_until(ends_at, order.port, seen, delay=_SPEAKS_EVERY * number / order.users))
    for keeper in keepers:
        keeper.leave()
    return seen


class _Keeper:
    """One that keeps its connection."""

    def __init__(self, port: int, seen: Seen) -> None:
        self._port = port
        self._seen = seen
        self._number = 0

    async def connect(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(_HOST, self._port)

    def leave(self) -> None:
        self._writer.transport.abort()

    async def ask_until(self, ends_at: float, *, delay: float) -> None:
        """Send a request whenever one is due."""
        loop = asyncio.get_running_loop()
        due = loop.time() + delay
        while due < ends_at:
            await asyncio.sleep(due - loop.time())
            await self.ask(due)
            due += _ASKS_EVERY

    async def ask(self, due: float, *, close: bool = False) -> None:
        """Send one, and look at the answer; connect again after one that was lost."""
        seen = self._seen
        seen.sent += 1
        self._number += 1
        body = b"request %d of %d" % (self._number, id(self))
        if self._reader.at_eof():  # idle for longer than the server waits, since this process was not let run
            self.leave()
            await self.connect()
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await self._exchange(body, close=close)
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            seen.miss(f"request {self._number}: {error!r}")
            self.leave()
            await self.connect()
            return
        seen.times.append(asyncio.get_running_loop().time() - due)
        if answer == (b"HTTP/1.1 200 OK", body):
            seen.answered += 1
        else:
            seen.miss(f"request {self._number}: {answer!r:.200}")

    async def _exchange(self, body: bytes, *, close: bool) -> tuple[bytes, bytes]:
        last = b"Connection: close\r\n" if close else b""
        head = b"POST %b HTTP/1.1\r\nHost: bot\r\n%bContent-Length: %d\r\n\r\n" % (ECHO.encode(), last, len(body))
        self._writer.write(head + body)
        status, *fields = (await self._reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        length = next((int(line[15:]) for line in fields if line.startswith(b"content-length:")), 0)
        return status.upper(), await self._reader.readexactly(length)


async def _come_until(ends_at: float, port: int, seen: Seen, *, delay: float) -> None:
    """Have each request on a connection of its own."""
    loop = asyncio.get_running_loop()
    due = loop.time() + delay
    while due < ends_at:
        await asyncio.sleep(due - loop.time())
        comer = _Keeper(port, seen)
        await comer.connect()
        await comer.ask(due, close=True)
        comer.leave()
        due += _COMES_EVERY


async def _talk_until(ends_at: float, port: int, seen: Seen, *, delay: float) -> None:
    """Have one conversation after the other."""
    loop = asyncio.get_running_loop()
    url = f"http://{_HOST}:{port}{PATH}"
    user = f"user-{delay:.3f}"
    due = loop.time() + delay
    async with WeComPlatform(
        url, token=TOKEN, encoding_aes_key=KEY, interval=_POLLS_EVERY, timeout=PATIENCE, patience=PATIENCE
    ) as platform:
        while due < ends_at:
            await asyncio.sleep(due - loop.time())
            text = f"{GREETING}{user}, {due:.3f}"
            seen.sent += 1
            late = loop.time() - due
            conversation = await platform.say(text, user=user)
            seen.first_words.append(late + (conversation.first_answer or PATIENCE))
            if conversation.problems or conversation.shown != f"You said: {text}.":
                seen.miss(f"a conversation: {conversation.problems or conversation.shown!r}")
            else:
                seen.answered += 1
            due = max(due + _SPEAKS_EVERY, loop.time())
