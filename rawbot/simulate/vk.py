"""VK's side of community bots: users who write, the Callback API, Long Poll and the API, to talk to any bot server.

Layer 3 (simulate), the part with IO. It sends what happens, serves what bots ask for, and lets time pass when it is
told to. Who does what with which message is in vk_dialogs, callbacks and their retries in vk_callbacks, Long Poll in
vk_longpoll, the methods of the API in vk_methods.
"""

import asyncio
import secrets
import ssl
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from types import TracebackType
from typing import Self

from rawbot.errors import ConfigError, ProtocolError
from rawbot.exchange import Response
from rawbot.simulate import vk_user_updates as user_updates
from rawbot.simulate.http_client import split_url
from rawbot.simulate.http_server import HttpServer
from rawbot.simulate.vk_callbacks import (
    PAUSE_AFTER,
    PAUSE_FOR,
    TIMEOUT,
    Attempt,
    CallbackSender,
    CallbackServer,
    Delivery,
)
from rawbot.simulate.vk_clock import VirtualClock
from rawbot.simulate.vk_dialogs import ChatMessage, Dialog
from rawbot.simulate.vk_events import VKEvent
from rawbot.simulate.vk_longpoll import WINDOW, LongPollStream
from rawbot.simulate.vk_methods import PREFIX, ApiServer, Called, Fault
from rawbot.simulate.vk_rules import JsonObject
from rawbot.simulate.vk_site import Site
from rawbot.simulate.vk_users import SentEvent, Users
from rawbot.simulate.vk_world import Account, Community, OnSaid, Press, World
from rawbot.vk.event_types import LONG_POLL_SETTABLE, SETTABLE

__all__ = ["ChatMessage", "Delivery", "Dialog", "Press", "SentEvent", "VKPlatform"]

FOLLOW_EVERY = 0.1
"""Seconds between two steps of a clock that follows the real one."""

_ADMIN = 1
"""Who adds servers in the console."""


class VKPlatform(Users):
    """The platform for any number of communities, bots and users: `async with VKPlatform() as platform:`.

    Give it communities with `add_group`, connect the bots' servers with `connect` (as the console does; or have the
    bot do it by the API), then let users act: `say`, `press`, `join`, … return when each server was asked once. Time is
    virtual and stands still: retries, pauses and lifetimes come with `advance`, or with `follow_clock`. Real are only
    `timeout`, for the answer to a callback, and the wait of a poll, divided by `speed`.

    Whatever a bot does that VK would not like is in `problems`, each sentence once, and nothing is raised for it but by
    `connect`. The API is at `api_url`.

    `pause_after` and `pause_for` are told of in vk_callbacks. `limit_rates` lets calls fail that come too
    fast. `ssl_context` serves TLS, `client_ssl_context` is for bots that do. `on_said` is told what a bot says or
    changes, `on_attempt` of each callback, `on_problem` what is wrong, at once.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        start: float | None = None,
        timeout: float = TIMEOUT,
        speed: float = 1.0,
        pause_after: int = PAUSE_AFTER,
        pause_for: float = PAUSE_FOR,
        limit_rates: bool = True,
        ssl_context: ssl.SSLContext | None = None,
        client_ssl_context: ssl.SSLContext | None = None,
        on_said: OnSaid | None = None,
        on_attempt: Callable[[Delivery, Attempt], None] | None = None,
        on_problem: Callable[[str], None] | None = None,
    ) -> None:
        if not (timeout > 0 and speed > 0):
            raise ConfigError("timeout and speed are numbers above 0")
        self.clock = VirtualClock(float(int(time.time())) if start is None else start)
        self.problems: list[str] = []
        self.lost: list[Delivery] = []
        """Events that were given up."""
        self.world = World(self.clock, self._blame, self._emit_by_bot, on_said)
        self._on_problem, self._on_attempt = on_problem, on_attempt
        self._speed = speed
        self._address = host, port, ssl_context
        self._tasks: set[asyncio.Task[None]] = set()
        self._sender = CallbackSender(
            self.clock,
            self._spawn,
            self._blame,
            timeout=timeout,
            pause_after=pause_after,
            pause_for=pause_for,
            ssl_context=client_ssl_context,
            on_attempt=self._note_attempt,
        )
        self._api = ApiServer(self.world, self._sender, limit_rates=limit_rates)
        self._server = HttpServer(Site(self.world, self._api).answer)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Serve the API and all the rest. Raises OSError when the port cannot be had."""
        host, port, ssl_context = self._address
        await self._server.start(host, port, ssl_context=ssl_context)
        self.world.base_url = self._server.base_url

    async def stop(self) -> None:
        """Close the port and every connection; what is under way is dropped."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.stop()
        await self._sender.aclose()

    @property
    def api_url(self) -> str:
        """Return where the methods of the API are: what a bot has to be told in place of VK's own address."""
        return self._server.base_url + PREFIX

    @property
    def calls(self) -> list[Called]:
        """The calls of the API that came, without their tokens."""
        return self._api.calls

    # What there is

    def add_group(
        self,
        group_id: int,
        *,
        token: str | None = None,
        confirmation: str | None = None,
        api_confirmation: str | None = None,
        name: str = "",
        long_poll: bool = False,
        window: int = WINDOW,
    ) -> Community:
        """Found a community. Its bot has `token`; None takes every unknown one for its own.

        `confirmation` is what the console shows, or made; `api_confirmation` what the API tells, the same unless given.
        `long_poll` switches that on, for all events; `window` is how many of them are kept.
        """
        code = confirmation or secrets.token_hex(4)
        stream = LongPollStream(self.clock, self._render(group_id), window=window, speed=self._speed)
        self.world.communities[group_id] = community = Community(
            id=group_id,
            tokens=set() if token is None else {token},
            stream=stream,
            any_token=token is None,
            confirmation=code,
            api_confirmation=api_confirmation or code,
            name=name or f"Community {group_id}",
            long_poll=long_poll,
            long_poll_events=set(LONG_POLL_SETTABLE) if long_poll else set(),
        )
        return community

    def add_account(self, user_id: int, *, token: str, window: int = WINDOW) -> Account:
        """Have a user give a token away, so that a bot can be that user."""
        stream = LongPollStream(self.clock, user_updates.render, numeric_ts=True, window=window, speed=self._speed)
        self.world.accounts[user_id] = account = Account(id=user_id, tokens={token}, stream=stream)
        return account

    async def connect(
        self,
        group_id: int,
        url: str,
        *,
        secret: str = "",
        api_version: str = "5.199",
        events: Iterable[str] = SETTABLE,
        ask: bool = True,
    ) -> CallbackServer:
        """Add a bot's server as the console does: it is asked for the confirmation string first, unless `ask` is false.

        Raises `ProtocolError` saying what is wrong with the answer; then the server is not added.
        """
        split_url(url)
        community = self.world.community(group_id)
        server = CallbackServer(
            next(community.server_ids), group_id, url, "console", secret, _ADMIN, api_version, set(events)
        )
        if not ask:
            server.confirmed, server.status = True, "ok"
        elif problem := await self._sender.confirm(server, community.confirmation):
            raise ProtocolError(problem)
        community.servers[server.id] = server
        return server

    def group(self, group_id: int) -> Community:
        """Return a community. Raises `ConfigError` for one that was not founded."""
        return self.world.community(group_id)

    # What happens

    async def emit(
        self,
        group_id: int,
        event_type: str,
        about: JsonObject,
        *,
        event_id: str | None = None,
        lose_answer: int = 0,
        twice: bool = False,
    ) -> SentEvent:
        """Let any event happen, known to VK or not, and bring it to all who asked for such; each is asked once here.

        `event_id` is made unless given; "" leaves it out. So many good answers as `lose_answer` says get lost, so that
        the event comes again. `twice` sends it two times at once.
        """
        made = secrets.token_hex(20) if event_id is None else event_id
        event = VKEvent(event_type, group_id, about, made, self.clock.now)
        deliveries = self._spread(event, int(lose_answer))
        again = deliveries if twice else ()
        await asyncio.gather(*map(self._sender.deliver, deliveries), *map(self._sender.duplicate, again))
        return SentEvent(event, deliveries)

    # Time, faults, waiting

    async def advance(self, seconds: float) -> None:
        """Let virtual time pass, with all retries that are due in it."""
        await self.clock.advance(seconds)

    async def follow_clock(self) -> None:
        """Let time pass as it really does, until this is cancelled."""
        then = time.monotonic()
        while True:
            await asyncio.sleep(FOLLOW_EVERY)
            now = time.monotonic()
            await self.clock.advance(now - then)
            then = now

    async def settle(self) -> None:
        """Wait till nothing is on its way that came about by what bots have done."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def wait_sent(self, group_id: int, peer_id: int, count: int = 1) -> list[ChatMessage]:
        """Wait until the community has said so much there, for ever if it does not: use `asyncio.timeout`."""
        dialog = self.dialog(group_id, peer_id)
        await self.wait_until(lambda: len(dialog.sent) >= count)
        return dialog.sent

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until this is so; looked at whenever a bot has called a method."""
        while not condition():
            await self.world.called.wait()

    def fail(
        self,
        method: str = "*",
        code: int = 0,
        *,
        status: int = 0,
        body: bytes = b"",
        hang_up: bool = False,
        carried_out: bool = False,
        times: int = 1,
        **more: object,
    ) -> None:
        """Have the next calls of a method, or of any, fail: by an error of VK's, an HTTP answer, or by hanging up.

        With `carried_out` they have their effect, and only the results get lost. `more` are fields of the error.
        """
        response = Response(status, body) if status else None
        if [bool(code), response is not None, hang_up].count(True) != 1:
            raise ConfigError("a call fails by a code, a status or by hanging up: one of them")
        fault = Fault(code, response, hang_up, carried_out, more)
        self._api.faults.setdefault(method, deque()).extend([fault] * times)

    # Inside

    def _spread(self, event: VKEvent, lose_answers: int = 0) -> list[Delivery]:
        """Put an event where it is polled for; return what is to be delivered."""
        community = self.world.community(event.group_id)
        if community.long_poll and (event.type in community.long_poll_events or event.type not in SETTABLE):
            community.stream.push(event)
        return [Delivery(event, s, lose_answers) for s in community.live_servers() if s.wants(event.type)]

    def _emit_by_bot(self, event: VKEvent) -> None:
        for delivery in self._spread(event):
            self._spawn(self._sender.deliver(delivery))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _render(self, group_id: int) -> Callable[[object, Mapping[str, str]], object]:
        """Return what makes the updates of a community's Long Poll."""

        def render(entry: object, _query: Mapping[str, str]) -> object:
            version = self.world.community(group_id).long_poll_version
            return entry.envelope(version) if isinstance(entry, VKEvent) else entry

        return render

    def _note_attempt(self, delivery: Delivery, attempt: Attempt) -> None:
        if delivery.state == "lost":
            self.lost.append(delivery)
        if self._on_attempt is not None:
            self._on_attempt(delivery, attempt)

    def _blame(self, problem: str) -> None:
        if problem in self.problems:
            return
        self.problems.append(problem)
        if self._on_problem is not None:
            self._on_problem(problem)
