"""`callback`: one connection in memory, from `data_received` to the bytes written, against h11 alone.

- message: a distinct encrypted text message opens a stream; the bot's handler is an empty plain function.
- refresh: a poll of an open stream that has 300 bytes of news.

rawbot is the real app on a real loop, with a transport that keeps what is written; the streams stay in its tables as
they would in a server. Scheduling the handler is part of the figure. What the loop's next turn costs, which runs it and
ends its reply, is measured apart and printed beside.

h11 alone parses the very same requests and sends the very same answer through its own `send`: no routing, no crypto, no
JSON, no clock, no handler. No server that leaves HTTP to h11 can cost less.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Protocol

import rawbot
from benchmarks.in_memory import ANSWER, HANDLER, Door, H11Alone
from benchmarks.measuring import Figures, Measured, Progress, fitting, interleave, to_json
from benchmarks.record import Result
from benchmarks.traffic import Callback, Traffic, check_open_streams

ROUNDS = 15
SECONDS = 8.0

OURS, ALONE = "rawbot", "h11 alone"
TARGET = 1.6
"""How many times the cost of h11 alone a message may cost."""

NEWS = "The minutes in short: " + "decided, postponed, " * 14
"""What a stream has to say when it is polled: 302 bytes."""

_WARM_UP = 400


class Scenario(Protocol):
    """What is brought to the door, and the app behind it."""

    door: Door

    def next_batch(self, count: int) -> list[Callback]:
        """Prepare so many callbacks for one round."""


class Messages:
    """Every callback is a new message."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        bot = rawbot.Bot()
        bot.on_message(lambda _event, _reply: None)
        self.door = Door(loop, bot)
        self._traffic = Traffic()

    def next_batch(self, count: int) -> list[Callback]:
        """Encrypt the messages; those of the last round must all have come to their end."""
        assert not self.door.endpoint.streams.open_streams
        return self._traffic.messages(count)


class Refreshes:
    """Every callback polls a stream of its own, which the handler keeps open."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        bot = rawbot.Bot()
        bot.on_message(self._hold)
        self.door = Door(loop, bot)
        self._traffic = Traffic()
        self._open: list[rawbot.Stream] = []
        self._released = loop.create_future()

    def next_batch(self, count: int) -> list[Callback]:
        """End the streams of the last round, open new ones, let each have something to say."""
        self._released.set_result(None)
        self._released = self._released.get_loop().create_future()
        self._open.clear()
        self.door.feed([message.request for message in self._traffic.messages(count)])
        self.door.transport.take_written()
        while len(self._open) < count:
            self.door.turn()
        for stream in self._open:
            stream.write(NEWS)
        return self._traffic.refreshes([stream.id for stream in self._open])

    async def _hold(self, _event: rawbot.Event, reply: rawbot.Stream) -> None:
        self._open.append(reply)
        await self._released


def run(*, rounds: int = ROUNDS, seconds: float = SECONDS, progress: Progress) -> Result:
    """Measure messages and refreshes; `seconds` is what they take together."""
    with asyncio.Runner() as runner:
        messages = Messages(runner.get_loop())
        with messages.door:
            message = measure(messages, rounds, seconds / 2, lambda at: progress(f"message, {at}"))
            held = len(messages.door.endpoint.streams)
        refreshes = Refreshes(runner.get_loop())
        with refreshes.door:
            refresh = measure(refreshes, rounds, seconds / 2, lambda at: progress(f"refresh, {at}"))
    return _report(message, refresh, rounds=rounds, held=held)


def measure(scenario: Scenario, rounds: int, seconds: float, progress: Progress) -> Measured:
    """Let both answer the same callbacks, new ones in each round."""
    alone = H11Alone()
    batch = scenario.next_batch(_WARM_UP)
    cost = sum(_take_turn(scenario.door, batch, alone).values())
    cost += _take_turn_alone(alone, batch)[ANSWER]
    count = fitting(seconds / rounds, cost, least=_WARM_UP)

    def prepare() -> None:
        batch[:] = scenario.next_batch(count)

    turns = {OURS: partial(_take_turn, scenario.door, batch, alone), ALONE: partial(_take_turn_alone, alone, batch)}
    return interleave(turns, rounds, progress=progress, prepare=prepare)


def _take_turn(door: Door, batch: Sequence[Callback], alone: H11Alone) -> Figures:
    figures = door.feed([callback.request for callback in batch])
    answers = door.transport.take_written()
    check_open_streams(batch, answers)
    alone.imitate(answers[-1])
    return figures


def _take_turn_alone(alone: H11Alone, batch: Sequence[Callback]) -> Figures:
    figures = alone.feed([callback.request for callback in batch])
    answers = alone.transport.take_written()
    assert answers == [alone.answer] * len(batch)
    return figures


def _report(message: Measured, refresh: Measured, *, rounds: int, held: int) -> Result:
    lines = [
        f"CPU µs per callback, median (p10–p90) of {rounds} interleaved rounds; {held:,} streams held at the end",
        "",
        f"{'':9}{'data_received → written':<27}{ALONE:<22}{'rawbot / h11 alone':<22}then handler and end of reply",
    ]
    by_round = []
    figures: dict[str, object] = {}
    for name, measured in (("message", message), ("refresh", refresh)):
        ours, alone = measured[OURS][ANSWER], measured[ALONE][ANSWER]
        handler = measured[OURS][HANDLER].format(".1f") if name == "message" else "–"
        ratio = ours / alone
        lines.append(f"{name:<9}{ours.format('.1f'):<27}{alone.format('.1f'):<22}{ratio.format():<22}{handler}")
        by_round.append(f"{name:<9}{ratio.format_rounds()}")
        figures[name] = to_json(measured) | {"ours_to_h11": ratio.to_json()}
    reached = (message[OURS][ANSWER] / message[ALONE][ANSWER]).median <= TARGET
    target = f"message, rawbot / h11 alone at most {TARGET}: {'met' if reached else 'missed'}"
    return Result("callback", [*lines, "", "rawbot / h11 alone, round by round", *by_round, "", target], figures)
