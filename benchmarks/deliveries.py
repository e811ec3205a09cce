"""What VK's Callback API delivers, whole requests as bytes, no two alike; and its look at answers.

The shapes come from `rawbot.simulate`, which tells their sources: version 5.199, the secret behind the object. The head
holds the five fields that any sender needs. All answers of a turn are looked into when the clock has stopped: each must
be `ok`. Then the server is asked how many events its bot has handled: all of them, and each once.
"""

import secrets
from collections.abc import Sequence
from itertools import count as numbers
from time import monotonic, sleep, time
from typing import Final, NamedTuple

import orjson

from benchmarks.generators.builtin import ask
from benchmarks.generators.load import Check, Way
from benchmarks.measuring import Failed
from benchmarks.peers.community import GROUP_ID, HANDLED, PATH, SECRET
from benchmarks.peers.table import Role
from benchmarks.pools import MOST, MOST_NEW, SAMPLE
from rawbot.simulate.vk_dialogs import ChatMessage
from rawbot.simulate.vk_events import CLIENT_INFO, VKEvent
from rawbot.simulate.vk_rules import JsonObject

VERSION = "5.199"
BODY_SIZE = 600
"""Bytes of an event: a word or two, and all that the platform tells about them."""

PATIENCE = 5.0
"""Seconds within which all that was acknowledged must have been handled."""

_LOOKS_EVERY = 0.02
_SENTENCE = "Привет! "
_FIRST_USER = 100_000_000
_HEAD = (
    b"POST %b HTTP/1.1\r\nHost: bot.example.com\r\nUser-Agent: benchmark\r\nAccept: */*\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
)
_ASK = b"GET %b HTTP/1.1\r\nHost: bot.example.com\r\n\r\n" % HANDLED.encode()


class Delivery(NamedTuple):
    """One request of the platform."""

    request: bytes


class Deliveries:
    """New messages of a community, each an event of its own by another user: the same for all contenders of a round."""

    def __init__(self, way: Way) -> None:
        self.way: Final[Way] = way
        self.check: Final[Check] = check_ok
        self.most: Final = MOST_NEW if way == "new" else MOST
        self.size = 0.0
        self._numbers = numbers()
        self._made: list[Delivery] = []
        self._due = 0

    def renew(self) -> None:
        """Forget the events of the last round."""
        self._made = []

    def take(self, port: int, count: int, role: Role) -> list[Delivery]:  # noqa: ARG002 - all must answer rightly
        """Return events, as many as are needed being made."""
        self._made += [make_delivery(next(self._numbers)) for _ in range(SAMPLE + count - len(self._made))]
        self._due = ask_handled(port) + SAMPLE + count
        answers = ask(port, self._made[:SAMPLE], way=self.way, check=self.check)
        self.size = sum(map(len, answers)) / len(answers)
        return self._made[SAMPLE : SAMPLE + count]

    def conclude(self, port: int) -> None:
        """Wait till all events of the turn are handled. Raises `Failed` unless they are, and each once."""
        gives_up_at = monotonic() + PATIENCE
        while (handled := ask_handled(port)) < self._due and monotonic() < gives_up_at:
            sleep(_LOOKS_EVERY)
        if handled != self._due:
            raise Failed(f"{handled} events are handled in place of {self._due}")


def make_delivery(number: int) -> Delivery:
    """Return a message with an event_id that no other has."""
    body = _encode(number, _SENTENCE, event_id := secrets.token_hex(20))
    body = _encode(number, _SENTENCE + "x" * (BODY_SIZE - len(body)), event_id)
    return Delivery(_HEAD % (PATH.encode(), len(body)) + body)


def ask_handled(port: int) -> int:
    """Return how many events a server's bot has handled. Raises `Failed` when it does not tell."""
    (answer,) = ask(port, [Delivery(_ASK)])
    said = answer.partition(b"\r\n\r\n")[2]
    if not said.isdigit():
        raise Failed(f"the number of handled events is {said[:60]!r}")
    return int(said)


def check_ok(asked: Sequence[Delivery], answers: Sequence[bytes]) -> None:
    """Look into responses: VK takes these two bytes and no others. Raises `Failed`."""
    for _, answer in zip(asked, answers, strict=True):
        body = answer.partition(b"\r\n\r\n")[2]
        if body != b"ok":
            raise Failed(f"an event is answered with {body[:60]!r} in place of ok")


def _encode(number: int, text: str, event_id: str) -> bytes:
    user = _FIRST_USER + number
    message = ChatMessage(1 + number, 1, user, user, time(), text)
    about: JsonObject = {"message": message.object(), "client_info": CLIENT_INFO}
    return orjson.dumps(VKEvent("message_new", GROUP_ID, about, event_id).envelope(VERSION, SECRET))
