"""The Long Poll server, of communities and of users: who asks with the last `ts` gets what has come since, or waits.

Layer 3 (simulate). The answers are made here, the requests are read elsewhere. Sources:
dev.vk.com/ru/api/bots-long-poll/getting-started, dev.vk.com/ru/api/user-long-poll/getting-started.

    failed 1  what came since `ts` is not all there any more: the reply has a `ts`, a number, to go on from
    failed 2  the key is over; `ts` stays good
    failed 3  the information was lost: key and `ts` both
    failed 4  of users: no such version
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Mapping

import orjson

from rawbot.exchange import Response
from rawbot.simulate.vk_clock import Bell, VirtualClock
from rawbot.simulate.vk_rules import JsonObject
from rawbot.simulate.vk_user_updates import WITH_PTS, read_mode

WINDOW = 256
"""Events that are kept."""
KEY_LIFETIME = 3600.0
"""Seconds for which a key is good."""
MAX_WAIT = 90
"""Seconds that a poll can wait for."""
MAX_VERSION = 19
"""Of user Long Poll."""

_JSON = b"application/json; charset=utf-8"

Render = Callable[[object, Mapping[str, str]], object]
"""Makes an update of what is kept, in the form that the query's version and mode ask for; None leaves it out."""


class LongPollStream:
    """The events of one community or user. `speed` divides the real seconds that a poll waits."""

    def __init__(
        self,
        clock: VirtualClock,
        render: Render,
        *,
        numeric_ts: bool = False,
        window: int = WINDOW,
        key_lifetime: float = KEY_LIFETIME,
        speed: float = 1.0,
    ) -> None:
        self.ts = secrets.randbelow(1000) + 1
        """Of the next event."""
        self.next_ts_header = True
        """Whether replies have the field X-Next-Ts, which no page tells of."""
        self.polls: list[dict[str, str]] = []
        """The queries that came, without their keys."""
        self.waiting = 0
        """Polls that wait at present."""
        self._faults: deque[Response | None] = deque()
        """What the next polls are answered in place of the truth; None for nothing at all."""
        self._clock = clock
        self._render = render
        self._numeric = numeric_ts
        self._window = window
        self._key_lifetime = key_lifetime
        self._speed = speed
        self._entries: deque[object] = deque(maxlen=window)
        self._keys: dict[str, float] = {}
        self._lost: set[str] = set()
        """Keys of what was lost."""
        self._news, self._held = Bell(), Bell()
        clock.bells.append(self._news)
        self._pts = 10_000_000

    @property
    def pts(self) -> int:
        """The number of the last event, that of the history of users."""
        return self._pts

    def push(self, entry: object) -> None:
        """Add an event."""
        self._entries.append(entry)
        self.ts += 1
        self._pts += 1
        self._news.ring()

    def new_key(self) -> str:
        """Return a key, good for its time."""
        key = secrets.token_hex(20)
        self._keys[key] = self._clock.now + self._key_lifetime
        return key

    def told_ts(self) -> int | str:
        """Return `ts` in the form of a good reply."""
        return self.ts if self._numeric else str(self.ts)

    def expire_keys(self) -> None:
        """Let all keys be over: `failed` 2."""
        self._keys = dict.fromkeys(self._keys, self._clock.now)
        self._news.ring()

    def lose_information(self) -> None:
        """Forget keys and events, and begin to count anew: `failed` 3."""
        self._lost.update(self._keys)
        self._keys.clear()
        self._entries.clear()
        self.ts = secrets.randbelow(1000) + 1
        self._news.ring()

    def fail(
        self,
        reply: JsonObject | None = None,
        *,
        status: int = 0,
        body: bytes = b"",
        hang_up: bool = False,
        times: int = 1,
    ) -> None:
        """Have the next polls answered like this, whatever they ask: a reply, an HTTP answer, a broken connection."""
        fault = _reply(reply) if reply is not None else None if hang_up else Response(status or _OK, body, _JSON)
        self._faults.extend([fault] * times)

    def since(self, pts: int) -> list[object] | None:
        """Return what came after this pts, None when that is not all there any more."""
        missing = self._pts - pts
        return None if missing > len(self._entries) else list(self._entries)[len(self._entries) - missing :]

    async def wait_held(self) -> None:
        """Wait until a poll waits here, for ever if none comes: use `asyncio.timeout`."""
        while not self.waiting:
            await self._held.wait()

    async def poll(self, query: Mapping[str, str]) -> Response | None:
        """Answer a poll, when there is something to tell or its time is over; None hangs up."""
        self.polls.append({name: value for name, value in query.items() if name != "key"})
        if self._faults:
            return self._faults.popleft()
        failure = self._judge(query)
        if failure is None and self._is_up_to_date(query):
            await self._wait(query)
            failure = self._judge(query)
        if failure is not None:
            return _reply(failure)
        updates = [self._render(entry, query) for entry in self._after(int(query["ts"]))]
        reply: JsonObject = {"ts": self.told_ts()}
        if self._numeric and read_mode(query) & WITH_PTS:
            reply["pts"] = self._pts
        reply["updates"] = [update for update in updates if update is not None]
        headers = [(b"x-next-ts", str(self.ts).encode())] if self.next_ts_header else []
        return Response(_OK, orjson.dumps(reply), _JSON, headers)

    def _judge(self, query: Mapping[str, str]) -> JsonObject | None:
        """Return the reply to a poll that cannot be answered."""
        version = query.get("version", "0")
        if self._numeric and not (version.isdecimal() and int(version) <= MAX_VERSION):
            return {"failed": 4, "min_version": 0, "max_version": MAX_VERSION}
        key, ts = query.get("key", ""), query.get("ts", "")
        if key in self._lost:
            return {"failed": 3}
        if query.get("act") != "a_check" or self._keys.get(key, 0.0) <= self._clock.now:
            return {"failed": 2}
        if not ts.isdecimal() or not self.ts - len(self._entries) <= int(ts) <= self.ts:
            return {"failed": 1, "ts": self.ts}
        return None

    def _is_up_to_date(self, query: Mapping[str, str]) -> bool:
        return int(query["ts"]) == self.ts

    def _after(self, ts: int) -> list[object]:
        return list(self._entries)[len(self._entries) - (self.ts - ts) :]

    async def _wait(self, query: Mapping[str, str]) -> None:
        """Wait for news: so many seconds, real ones by `speed`, or as many of the virtual clock's."""
        told = query.get("wait", "25")
        seconds = min(int(told) if told.isdecimal() else 25, MAX_WAIT)
        until = self._clock.now + seconds
        self.waiting += 1
        self._held.ring()
        try:
            async with asyncio.timeout(seconds / self._speed):
                while self._clock.now < until and self._is_up_to_date(query) and self._judge(query) is None:
                    await self._news.wait()
        except TimeoutError:
            pass
        finally:
            self.waiting -= 1


_OK = 200


def _reply(reply: JsonObject) -> Response:
    """Make an answer with a line end behind it, as some have."""
    return Response(_OK, orjson.dumps(reply) + b"\n", _JSON)
