"""Sends what the endpoints have to send: requests of theirs, a few at a time, each source told what came of it.

Engine room.
"""

import asyncio
import logging
import math
from functools import partial
from time import time

from rawbot.aio.outgoing.client import Client
from rawbot.aio.watching.quiet import Quiet
from rawbot.errors import RawbotError
from rawbot.exchange import OutgoingRequest, Response, Source

log = logging.getLogger("rawbot")

MAX_SENDING = 16
"""Outgoing requests of one source under way at once."""


class Outgoing:
    """The sources of an app and their requests under way."""

    def __init__(self, loop: asyncio.AbstractEventLoop, client: Client, own_client: Client | None = None) -> None:
        self._loop = loop
        self._client = client
        self._own_client = own_client or client
        """For the sources whose URLs are the operator's own."""
        self._told = Quiet()
        self._sending: dict[Source, set[asyncio.Task[None]]] = {}
        self._disposable: set[asyncio.Task[None]] = set()
        """Of the tasks that send, those that only wait for news."""
        self._alarms: dict[Source, asyncio.TimerHandle] = {}
        """For the sources that have something to send later."""

    def add(self, source: Source) -> None:
        """Send for this source once `start` is called."""
        self._sending[source] = set()

    def start(self) -> None:
        """Let what the sources have be sent from now on."""
        if self._sending and not self._client.available:
            log.warning("files and active replies need the extra 'client': pip install 'rawbot[client]'")
        for source in self._sending:
            source.enabled = self._client.available
            source.on_ready = partial(self._pump, source)

    def under_way(self) -> list[asyncio.Task[None]]:
        """Return the tasks that send at present."""
        return [task for tasks in self._sending.values() for task in tasks]

    def waiting(self) -> int:
        """Count what waits to be sent."""
        return sum(source.waiting() for source in self._sending)

    def tick(self, now: float) -> None:
        """Tell how many failures were not told of one by one."""
        if held_back := self._told.summary(now):
            log.warning("outgoing requests have failed, or were lost, %d more times", held_back)

    async def finish(self, seconds: float) -> None:
        """Let what is being sent arrive, for so long at most; what only waits for news is cut off at once."""
        for task in self._disposable:
            task.cancel()
        deadline = self._loop.time() + seconds
        while (sending := self.under_way()) and (left := deadline - self._loop.time()) > 0:
            await asyncio.wait(sending, timeout=left)

    def close(self) -> None:
        """Send nothing more."""
        for source in self._sending:
            source.enabled = False
            source.on_ready = None
        for alarm in self._alarms.values():
            alarm.cancel()
        self._alarms.clear()
        under_way = self.under_way()
        if unsent := len(under_way) - len(self._disposable) + self.waiting():
            log.warning("%d outgoing requests were cut off by the end", unsent)
        for task in under_way:
            task.cancel()

    def _pump(self, source: Source) -> None:
        """Send what a source has, up to `MAX_SENDING` at once."""
        sending = self._sending[source]
        while len(sending) < MAX_SENDING and (request := source.next_request(time())) is not None:
            task = self._loop.create_task(self._send(source, request))
            sending.add(task)
            if request.disposable:
                self._disposable.add(task)
            task.add_done_callback(partial(self._sent, source))
        self._set_alarm(source)

    def _set_alarm(self, source: Source) -> None:
        """Ask again at the source's deadline, unless that has come: then it waits for us."""
        if (alarm := self._alarms.pop(source, None)) is not None:
            alarm.cancel()
        wait = source.deadline - time()
        if 0 < wait < math.inf:
            self._alarms[source] = self._loop.call_later(wait, self._pump, source)

    def _sent(self, source: Source, task: asyncio.Task[None]) -> None:
        self._sending[source].discard(task)
        self._disposable.discard(task)
        if not task.cancelled() and source.on_ready is not None:  # else all is closed since
            self._pump(source)

    async def _send(self, source: Source, request: OutgoingRequest) -> None:
        try:
            client = self._own_client if source.trusted else self._client
            response = await client.send(request, time())
        except Exception as error:  # noqa: BLE001 - the source must hear of it whatever it was
            if self._told.admit(time()):
                told = error if isinstance(error, RawbotError) else type(error).__name__  # other texts may hold the URL
                log.warning("an outgoing request failed: %s", told)
            response = Response(504)  # it may have arrived, so it is not tried again
        if not source.receive(request, response, time()) and self._told.admit(time()):
            log.error("what was to be sent is lost: %s", "no answer" if response is None else response.status)
