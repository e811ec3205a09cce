"""An implementation of OneBot with a clock of its own, and what goes in and out of it without any wire."""

import json
from collections.abc import Coroutine, Generator
from itertools import count

from rawbot.event import Event
from rawbot.exchange import Request
from rawbot.onebot.broadcast import Broadcast
from rawbot.onebot.events import OneBotEvent
from rawbot.onebot.implementation import Implementation
from rawbot.onebot.messages import Account
from rawbot.onebot.performing import run as run_action

T0 = 1_700_000_000.0
TOKEN = "a token, with blanks & signs"
BOT = Account("loop", "b1")
VERSION = {"impl": "my-impl", "version": "1.2", "onebot_version": "12"}

Data = dict[str, object]


class Clock:
    """Unix time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = T0

    def __call__(self) -> float:
        return self.now


def make(**options: object) -> Implementation:
    """Make an implementation with one bot; its ids are counted."""
    ids = count(1)
    settings: Data = {"platform": "loop", "version": "1.2", "bots": ["b1"], "clock": Clock()}
    settings["entropy"] = lambda size: next(ids).to_bytes(size, "big")
    return Implementation("my-impl", **settings | options)


class FakeSink:
    """Keeps the events that it gets."""

    def __init__(self, *, hears: bool = True) -> None:
        self.broadcasts: list[Broadcast] = []
        self.hears = hears

    def push(self, broadcast: Broadcast) -> None:
        self.broadcasts.append(broadcast)

    def listens(self, now: float) -> bool:
        assert now >= 0
        return self.hears

    @property
    def events(self) -> list[Data]:
        return [json.loads(broadcast.text) for broadcast in self.broadcasts]

    @property
    def names(self) -> list[object]:
        return [event["detail_type"] for event in self.events]


def heard(implementation: Implementation) -> FakeSink:
    """Let a sink join."""
    sink = FakeSink()
    implementation.join(sink)
    return sink


def message(number: int = 1, *, text: str = "") -> OneBotEvent:
    """Make a message event whose text, and id, is a number."""
    fields: Data = {"message": [{"type": "text", "data": {"text": text or str(number)}}]}
    fields |= {"alt_message": str(number), "message_id": str(number), "user_id": "u1"}
    return OneBotEvent("message", "private", bot=BOT, id=f"e{number}", fields=fields)


def post(
    body: bytes | Data,
    content_type: bytes | None = b"application/json",
    *fields: tuple[bytes, bytes],
    method: str = "POST",
    query: str = "",
) -> Request:
    """Make the HTTP request for an action."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = [(b"host", b"x"), *fields]
    if content_type is not None:
        headers.append((b"content-type", content_type))
    return Request(method, "/", query, headers, data)


def asking(action: str, *, echo: object = None, bot: Data | None = None, **params: object) -> Data:
    """Make an action request."""
    request: Data = {"action": action, "params": params}
    if echo is not None:
        request["echo"] = echo
    if bot is not None:
        request["self"] = bot
    return request


def ok(data: object = None, **more: object) -> Data:
    return {"status": "ok", "retcode": 0, "data": data, "message": ""} | more


class Handlers:
    """Runs the handlers of actions as the shell does, each as far as it comes without waiting."""

    def __init__(self) -> None:
        self.raised: list[BaseException] = []
        self._running: list[tuple[Event, Coroutine[object, None, None]]] = []
        self._going = False

    def dispatch(self, event: Event) -> None:
        self._running.append((event, run_action(event, event.reply)))
        self.go_on()

    def go_on(self) -> None:
        """Let all go on that can, and those that begin meanwhile."""
        if self._going:
            return
        self._going = True
        seen = 0
        while seen < len(self._running):
            running = self._running[seen]
            if self._ends(*running):
                self._running.remove(running)
            else:
                seen += 1
        self._going = False

    def stop(self) -> None:
        """Stop all, and those that begin for that."""
        self._going = True
        while self._running:
            event, coroutine = self._running.pop()
            coroutine.close()
            event.reply.cancel("shutdown")
        self._going = False

    def _ends(self, event: Event, coroutine: Coroutine[object, None, None]) -> bool:
        try:
            coroutine.send(None)
        except StopIteration:
            event.reply.finish()
        except BaseException as error:  # noqa: BLE001 - handlers raise anything
            self.raised.append(error)
            event.reply.fail()
        else:
            return False
        return True


class Gate:
    """What a handler waits at: passable once it is open."""

    def __init__(self) -> None:
        self.open = False

    def __await__(self) -> Generator[None, None, None]:
        while not self.open:
            yield
