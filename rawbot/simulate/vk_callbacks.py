"""The sender of the Callback API: events to the servers of communities, again if they are not taken, and pauses.

Layer 3 (simulate). Real sockets, virtual time. Source: dev.vk.com/ru/api/callback/getting-started.

    waiting ──ok, remove, version──> delivered         an attempt that fails is made again after 10 s, 3 min, 10 min,
       ├──five retries in vain, too──> lost            30 min and 1 h, or when Retry-After says
       └──the server is deleted──> dropped

What VK does not tell is settled here: how many failures in a row let it pause, and for how long; what comes meanwhile
waits. An answer with a good Retry-After uses up a retry, and is no failure.
"""

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import orjson

from rawbot.errors import FetchError
from rawbot.exchange import Response
from rawbot.simulate.http_client import HttpPool, split_url
from rawbot.simulate.vk_clock import VirtualClock
from rawbot.simulate.vk_events import VKEvent, confirmation
from rawbot.simulate.vk_rules import Verdict, judge_answer, judge_confirmation
from rawbot.vk.event_types import ALWAYS_SENT, SETTABLE

RETRIES = (10.0, 180.0, 600.0, 1800.0, 3600.0)
"""Seconds between an attempt that failed and the next."""
TIMEOUT = 8.0
"""Seconds, real ones, for an answer. VK tells no number; 18 s passed between two attempts that were seen."""
PAUSE_AFTER = 10
PAUSE_FOR = 600.0
"""Failures in a row after which nothing is sent, and seconds of that. VK says "several" and "temporarily"."""

_JSON = (b"content-type", b"application/json")
_AT_ONCE = 64
"""Requests under way to one server."""

Status = Literal["unconfigured", "failed", "wait", "ok"]


@dataclass(slots=True, eq=False)
class CallbackServer:
    """One of a community's servers."""

    id: int
    group_id: int
    url: str
    title: str = ""
    secret_key: str = field(default="", repr=False)
    creator_id: int = 0
    api_version: str = "5.199"
    events: set[str] = field(default_factory=lambda: set(SETTABLE), repr=False)
    """What is switched on."""
    status: Status = "unconfigured"
    confirmed: bool = False
    """Whether its last answer to a confirmation was right; without that it gets no events."""
    paused_until: float = 0.0
    failures: int = 0
    """In a row."""
    deleted: bool = False
    held: "list[Delivery]" = field(default_factory=list, repr=False)
    """What waits for the end of a pause."""

    def wants(self, event_type: str) -> bool:
        """Tell whether events of this type are sent here."""
        return self.confirmed and (event_type in self.events or event_type in ALWAYS_SENT)

    def delete(self) -> None:
        """Be no more; what was held for it goes nowhere."""
        self.deleted = True
        for delivery in self.held:
            delivery.state = "dropped"
        self.held.clear()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request with an event."""

    at: float
    """Virtual time."""
    counter: int
    """X-Retry-Counter; 0 stands for none."""
    status: int = 0
    """Of the answer; 0 for none."""
    body: bytes = b""
    failure: str = ""
    """Why the event was not taken."""


@dataclass(slots=True, eq=False)
class Delivery:
    """An event on its way to one server."""

    event: VKEvent
    server: CallbackServer
    lose_answers: int = 0
    """How many good answers get lost on the way."""
    attempts: list[Attempt] = field(default_factory=list)
    duplicates: list[Attempt] = field(default_factory=list)
    """Requests beside these, without a counter: VK sends an event twice at times."""
    state: Literal["waiting", "delivered", "lost", "dropped"] = "waiting"


class CallbackSender:
    """Sends to any number of servers.

    `on_problem` is told what a bot does wrong, `on_attempt` of each request; `spawn` starts what nobody waits for.
    `timeout` is real seconds; `retries`, `pause_after` and `pause_for` are as at the top of the file.
    """

    def __init__(
        self,
        clock: VirtualClock,
        spawn: Callable[[Coroutine[None, None, None]], None],
        on_problem: Callable[[str], None],
        *,
        timeout: float = TIMEOUT,
        retries: tuple[float, ...] = RETRIES,
        pause_after: int = PAUSE_AFTER,
        pause_for: float = PAUSE_FOR,
        ssl_context: ssl.SSLContext | None = None,
        on_attempt: Callable[[Delivery, Attempt], None] | None = None,
    ) -> None:
        self._clock = clock
        self._timeout = timeout
        self._retries = retries
        self._pause_after, self._pause_for = pause_after, pause_for
        self._ssl = ssl_context
        self._spawn, self._on_problem, self._on_attempt = spawn, on_problem, on_attempt
        self._pools: dict[str, HttpPool] = {}
        self._gates: dict[int, asyncio.Semaphore] = {}

    async def aclose(self) -> None:
        """Close the connections."""
        for pool in self._pools.values():
            await pool.aclose()

    async def confirm(self, server: CallbackServer, code: str) -> str:
        """Ask the server for the confirmation string; return what is wrong, "" if nothing is. Ends a pause."""
        server.status = "wait"
        try:
            response = await self._post(server, orjson.dumps(confirmation(server.group_id, server.secret_key)))
        except FetchError as error:
            problem = str(error)
        else:
            problem = judge_confirmation(response, code)
        server.status = "failed" if problem else "ok"
        server.confirmed = not problem
        if server.confirmed:
            self._spawn(self.resume(server))
        return problem

    async def deliver(self, delivery: Delivery) -> None:
        """Make an attempt; those that have to follow are made as time passes."""
        server = delivery.server
        if delivery.state != "waiting":
            return
        if server.deleted:
            delivery.state = "dropped"
        elif server.paused_until > self._clock.now or not server.confirmed:
            server.held.append(delivery)
        else:
            await self._attempt(delivery)

    async def duplicate(self, delivery: Delivery) -> None:
        """Send an event once more, beside its attempts and whatever comes of it."""
        verdict, attempt = await self._try(delivery.event, delivery.server, 0)
        delivery.duplicates.append(attempt)
        if verdict.means == "failed":
            self._on_problem(verdict.reason)

    async def resume(self, server: CallbackServer) -> None:
        """End a pause, if there is one: what was held is sent."""
        server.paused_until, server.failures = 0.0, 0
        if server.confirmed:
            server.status = "ok"
        held, server.held = server.held, []
        await asyncio.gather(*map(self.deliver, held))

    async def _attempt(self, delivery: Delivery) -> None:
        verdict, attempt = await self._try(delivery.event, delivery.server, len(delivery.attempts))
        if not attempt.failure and delivery.lose_answers:
            delivery.lose_answers -= 1
            attempt = Attempt(
                attempt.at, attempt.counter, attempt.status, attempt.body, "the answer was lost on purpose"
            )
            verdict = Verdict("failed")
        delivery.attempts.append(attempt)
        self._conclude(delivery, verdict)
        if self._on_attempt is not None:
            self._on_attempt(delivery, attempt)

    async def _try(self, event: VKEvent, server: CallbackServer, counter: int) -> tuple[Verdict, Attempt]:
        at = self._clock.now
        body = orjson.dumps(event.envelope(server.api_version, server.secret_key))
        try:
            response = await self._post(server, body, counter)
        except FetchError as error:
            verdict = Verdict("failed", f"no answer: {error}")
            return verdict, Attempt(at, counter, failure=verdict.reason)
        verdict = judge_answer(response, at)
        failure = f"put off for {verdict.delay:g} s" if verdict.means == "later" else verdict.reason
        return verdict, Attempt(at, counter, response.status, response.body, failure)

    async def _post(self, server: CallbackServer, body: bytes, counter: int = 0) -> Response:
        pool = self._pools.get(server.url)
        if pool is None:
            pool = self._pools[server.url] = HttpPool(server.url, timeout=self._timeout, ssl_context=self._ssl)
        headers = [_JSON]
        if counter:
            headers.append((b"x-retry-counter", b"%d" % counter))
        async with self._gates.setdefault(id(pool), asyncio.Semaphore(_AT_ONCE)):
            return await pool.request("POST", split_url(server.url).target, headers, body)

    def _conclude(self, delivery: Delivery, verdict: Verdict) -> None:
        """Let the answer have its effects on the delivery and on the server."""
        server = delivery.server
        if verdict.means in ("ok", "remove", "version"):
            delivery.state = "delivered"
            server.failures = 0
            if verdict.means == "remove":
                server.delete()
            server.api_version = verdict.version or server.api_version
            return
        if verdict.means == "failed":
            if verdict.reason:
                self._on_problem(verdict.reason)
            self._count_failure(server)
        done = len(delivery.attempts)
        if done > len(self._retries):
            delivery.state = "lost"
            self._on_problem(f"{delivery.event.type} was given up after {done} attempts")
            return
        delay = verdict.delay if verdict.means == "later" else self._retries[done - 1]
        self._clock.call_at(self._clock.now + delay, partial(self.deliver, delivery))

    def _count_failure(self, server: CallbackServer) -> None:
        server.failures += 1
        if server.failures < self._pause_after or server.paused_until > self._clock.now:
            return
        server.status = "failed"
        server.paused_until = self._clock.now + self._pause_for
        self._clock.call_at(server.paused_until, partial(self._end_pause, server))

    async def _end_pause(self, server: CallbackServer) -> None:
        if 0 < server.paused_until <= self._clock.now:  # else it was ended before
            await self.resume(server)
