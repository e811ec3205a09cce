"""Actions of OneBot 12 as an application sends them, whole requests as bytes, no two alike; and the look at answers.

They name the bot and have an echo, as NoneBot's do. All answers of a turn are looked into, when the clock has stopped:
each must be right for what was asked.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from itertools import count as numbers
from typing import Final, NamedTuple

import orjson

from benchmarks.generators.builtin import ask
from benchmarks.generators.links import mask_frame
from benchmarks.generators.load import Check, Way
from benchmarks.measuring import Failed
from benchmarks.peers.table import Role
from benchmarks.pools import MOST, SAMPLE

ECHO_TEXT, GET_STATUS = "echo_text", "get_status"
PLATFORM, USER_ID = "bench", "1"
"""The one bot of all contenders."""

TEXT_SIZE = 100
"""Bytes of what is echoed: a short sentence."""

_BOT = {"platform": PLATFORM, "user_id": USER_ID}
_STATUS = {"good": True, "bots": [{"self": _BOT, "online": True}]}
_SENTENCE = "请总结今天的会议纪要 "
_PADDING = "x" * (TEXT_SIZE - len(_SENTENCE.encode()) - 8)
_HEAD = (
    b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: OneBot/12\r\nAccept: */*\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
)
_MOST_NEW = 3_000
"""Requests in a turn with a connection each: their ports are not free again at once."""


class Action(NamedTuple):
    """One action as it is sent, and what the answer to it must hold."""

    request: bytes
    echo: str
    data: object


class Actions:
    """Actions of one kind that go one way: the same ones for all contenders of a round."""

    def __init__(self, action: str, way: Way) -> None:
        self.way: Final[Way] = way
        self.check: Final[Check] = check_frames if way == "websocket" else check_responses
        self.most: Final = _MOST_NEW if way == "new" else MOST
        self.size = 0.0
        self._action = action
        self._make = _MAKERS[action]
        self._numbers = numbers()
        self._run = secrets.token_hex(4)
        self._made: list[Action] = []

    def renew(self) -> None:
        """Forget the actions of the last round."""
        self._made = []

    def take(self, port: int, count: int, role: Role) -> list[Action]:  # noqa: ARG002 - all must answer rightly
        """Return actions, as many as are needed being made."""
        self._made += [self._next() for _ in range(SAMPLE + count - len(self._made))]
        answers = ask(port, self._made[:SAMPLE], way=self.way, check=self.check)
        self.size = sum(map(len, answers)) / len(answers)
        return self._made[SAMPLE : SAMPLE + count]

    def _next(self) -> Action:
        number = next(self._numbers)
        params, data = self._make(number)
        return make_action(self._action, params, data, echo=f"{self._run}{number:08d}", way=self.way)


def make_action(name: str, params: object, data: object, *, echo: str, way: Way) -> Action:
    """Return an action with what answers it, to be sent this way."""
    body = orjson.dumps({"action": name, "params": params, "echo": echo, "self": _BOT})
    request = mask_frame(body) if way == "websocket" else _HEAD % len(body) + body
    return Action(request, echo, data)


def check_responses(asked: Sequence[Action], answers: Sequence[bytes]) -> None:
    """Look into HTTP responses. Raises `Failed`."""
    for action, answer in zip(asked, answers, strict=True):
        head, _, body = answer.partition(b"\r\n\r\n")
        if b"\r\ncontent-type: application/json" not in head.lower():
            raise Failed("an answer is not said to be JSON")
        _check(action, body)


def check_frames(asked: Sequence[Action], answers: Sequence[bytes]) -> None:
    """Look into what came in frames. Raises `Failed`."""
    for action, answer in zip(asked, answers, strict=True):
        _check(action, answer)


def _check(action: Action, body: bytes) -> None:
    try:
        said = orjson.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise Failed(f"a wrong answer: {body[:200]!r}")
    right = {"status": "ok", "retcode": 0, "data": action.data, "echo": action.echo}
    for name, value in right.items():
        if said.get(name) != value:
            raise Failed(f"a wrong answer: {name} is {said.get(name)!r} in place of {value!r}")


def _echo_text(number: int) -> tuple[Mapping[str, object], object]:
    text = {"text": f"{_SENTENCE}{number:08d}{_PADDING}"}
    return text, text


def _get_status(_number: int) -> tuple[Mapping[str, object], object]:
    return {}, _STATUS


_MAKERS: Mapping[str, Callable[[int], tuple[Mapping[str, object], object]]] = {
    ECHO_TEXT: _echo_text,
    GET_STATUS: _get_status,
}
