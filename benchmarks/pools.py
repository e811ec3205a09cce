"""The requests of the scenarios, made before the clock starts, no two alike; and the look into a sample of the answers.

A turn begins with a sample, sent by the built-in generator and opened one by one; then comes the load, whose answers
must be as many and as long. So the load is not slowed down by what looks at it.
"""

from collections.abc import Sequence
from itertools import cycle, islice
from time import sleep
from typing import Protocol

from benchmarks.generators.builtin import ask
from benchmarks.generators.load import Check, Sendable, Way
from benchmarks.measuring import Failed
from benchmarks.peers.table import Role
from benchmarks.traffic import Answered, Callback, Traffic, open_answer

SAMPLE = 100
"""Answers that are opened in a turn."""
STREAMS = 256
"""Streams that are polled in a turn."""

MOST = 50_000
"""Requests in a turn."""

_TILL_SAID = 0.1
"""Seconds for handlers to say what they have to say before their streams are polled."""


class Pool(Protocol):
    """What is sent to the contenders."""

    def renew(self) -> None:
        """Begin a round: nothing of the last one is sent again to the same server."""

    def take(self, port: int, count: int, role: Role) -> Sequence[Sendable]:
        """Return so many requests for one turn, the sample already sent and seen to be answered rightly.

        By its role it is known whether a contender can answer rightly at all. Raises `Failed`.
        """

    @property
    def size(self) -> float:
        """Bytes of an answer in the last sample, on average."""

    @property
    def way(self) -> Way:
        """How the requests go."""

    @property
    def check(self) -> Check | None:
        """What looks at all answers under load, if they are looked into."""

    @property
    def most(self) -> int:
        """Requests that a turn can have."""


class KeptConnections:
    """How all that WeCom sends goes; under load the answers are not opened."""

    way: Way = "kept"
    check: Check | None = None
    most = MOST


class Messages(KeptConnections):
    """New messages, each of another user: the same ones for all contenders of a round."""

    def __init__(self) -> None:
        self.size = 0.0
        self._traffic = Traffic()
        self._made: list[Callback] = []

    def renew(self) -> None:
        """Forget the messages of the last round."""
        self._made = []

    def take(self, port: int, count: int, role: Role) -> list[Callback]:
        """Return messages, as many as are needed being made."""
        self._made += self._traffic.messages(SAMPLE + count - len(self._made))
        sample = self._made[:SAMPLE]
        answers = ask(port, sample)
        if role != "limit" and any(answered.finish for answered in _open_all(sample, answers, role)):
            raise Failed("a new stream is finished in its first answer")
        self.size = _mean(answers)
        return self._made[SAMPLE : SAMPLE + count]


class Polls(KeptConnections):
    """Refreshes of streams that were opened just before. Their ids are the server's, so each contender has its own."""

    def __init__(self) -> None:
        self.size = 0.0
        self._traffic = Traffic()

    def renew(self) -> None:
        """Nothing is kept from turn to turn."""

    def take(self, port: int, count: int, role: Role) -> list[Callback]:
        """Open streams, and return polls of them, in turn."""
        streams = SAMPLE + count if role == "langbot" else STREAMS  # it lets a second poll wait for half a second
        stream_ids = self._open(port, streams, role)
        polls = self._traffic.refreshes(list(islice(cycle(stream_ids), SAMPLE + count)))
        sample = polls[:SAMPLE]
        answers = ask(port, sample)
        if role != "limit" and not all(answered.content for answered in _open_all(sample, answers, role)):
            raise Failed("a poll is answered with nothing")
        self.size = _mean(answers)
        return polls[SAMPLE:]

    def _open(self, port: int, streams: int, role: Role) -> list[str]:
        if role == "limit":
            return [f"{number:032x}" for number in range(streams)]
        messages = self._traffic.messages(streams)
        opened = _open_all(messages, ask(port, messages), role)
        sleep(_TILL_SAID)
        return [answered.stream_id for answered in opened]


def _open_all(asked: Sequence[Callback], answers: Sequence[bytes], role: Role) -> list[Answered]:
    """Look into answers. LangBot's client leaves out all of an envelope but what is encrypted."""
    try:
        pairs = zip(asked, answers, strict=True)
        return [open_answer(callback, answer, complete=role != "langbot") for callback, answer in pairs]
    except AssertionError as error:
        raise Failed(f"a wrong answer: {error}") from None


def _mean(answers: Sequence[bytes]) -> float:
    return sum(map(len, answers)) / len(answers)
