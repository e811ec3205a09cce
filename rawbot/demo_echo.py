"""A part of the demo that says back what it is told, over HTTP and over a WebSocket: for tools that try out servers.

Layer 4. It stands on `/echo` when RAWBOT_DEMO_ECHO is 1. Load generators and conformance suites want any method
answered there, after the one await that a real bot's answer has at least, and Autobahn's suite messages of 16 MiB.
"""

import asyncio
from collections.abc import Sequence

from rawbot.bot import Bot
from rawbot.event import CancelReason, Event, Reply
from rawbot.exchange import Channel, Endpoint, Exchange, Pending, Request, Response, Upgrade
from rawbot.websocket.handshake import require, wants_upgrade
from rawbot.websocket.settings import WebSocketSettings

ECHO_PATH = "/echo"

ECHO_SETTINGS = WebSocketSettings(max_size=16 * 1024 * 1024, per_message_deflate=True)
"""What Autobahn's groups 9, 12 and 13 try out."""

TIMEOUT = 5.0
"""Seconds that the bot gets for an echo."""

_KIND = "echo"


class EchoEndpoint(Endpoint):
    """Answers a request with its own body once a bot of `make_echo_bot` has seen it, and a WebSocket's messages.

    The content type is the request's: a page of this origin could be made to say anything, so it is for tools only.
    """

    methods = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")

    def __init__(self) -> None:
        require("the demo's echo")

    def receive(self, request: Request, now: float) -> Exchange:
        """Become a WebSocket where that is asked for, else wait for the bot."""
        if wants_upgrade(request):
            return Upgrade(EchoChannel())
        content_type = request.header(b"content-type") or b"application/octet-stream"
        pending = Pending(None, now + TIMEOUT, lambda _: Response(200, request.body, content_type))
        pending.event = Event(_KIND, "demo", "", request.peer, "", _Wakening(pending), None)
        return pending


class EchoChannel(Channel):
    """Says each message back: text as text, bytes as bytes."""

    def __init__(self) -> None:
        self._messages: list[bytes | str] = []

    def receive(self, message: bytes | str, now: float) -> Sequence[Event]:  # noqa: ARG002 - a channel's shape
        """Keep the message until it is asked for."""
        self._messages.append(message)
        return ()

    def to_send(self) -> Sequence[bytes | str]:
        """Return what came."""
        messages, self._messages = self._messages, []
        return messages


def make_echo_bot() -> Bot:
    """Return the bot that an echo waits for."""
    bot = Bot()

    @bot.on_event(_KIND)
    async def wait(_event: Event, _reply: Reply) -> None:
        await asyncio.sleep(0)

    return bot


class _Wakening:
    """A reply that cannot be written to: its end, however it comes, lets the answer go."""

    text = ""
    finished = False

    def __init__(self, pending: Pending) -> None:
        self._pending = pending

    def write(self, text: str) -> None:
        """Say nothing: the answer is the request's body."""

    def replace(self, text: str) -> None:
        """Say nothing."""

    def finish(self) -> None:
        """Let the answer go."""
        self._pending.wake()

    def fail(self) -> None:
        """Let the answer go all the same."""
        self.finish()

    def cancel(self, reason: CancelReason) -> None:  # noqa: ARG002 - a reply's shape
        """Let the answer go all the same."""
        self.finish()
