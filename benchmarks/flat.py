"""`flat`: whether a server that holds 200,000 streams is as quick as an empty one, and what it holds for them.

rawbot climbs to 200,000 streams over sockets, with `paced_collections` and, beside it, with Python's own collector;
each second of the climb is looked at. All handlers end at once, but the platform never asks, so every stream is kept
for its polls. The aiohttp server opens four fifths of its streams by itself and climbs the rest of the way: it would
take half a minute. At the top each server is held against a fresh one of its kind in interleaved rounds, since what
else a machine does changes within a minute: by CPU time at full speed, and by a probe for pauses, messages that come
steadily.

A third rawbot says what connections cost that are idle after a request, and streams whose handlers still run: these
hold a task and all that was said to it. At last hours pass, all is forgotten, and what is left is counted.
"""

import contextlib
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import NamedTuple, cast

from benchmarks.flat_load import LEAVE, Climb, Crowd, Outcome, Prepare, Probe, Second, generate, quantiles
from benchmarks.flat_servers import COLLECT, FORGET, HOLD, LOOK, Fill, Listening, State, serve_aiohttp, serve_rawbot
from benchmarks.flat_start import measure_start
from benchmarks.measuring import Failed, Progress, Series
from benchmarks.processes import Work, receive, started
from benchmarks.record import Result, usable_cores

ROUNDS = 7
SECONDS = 60.0

STREAMS = 200_000
IDLE = 10_000
RUNNING = 20_000
RATE = 1500.0
"""Messages a second of the probe: a quarter of what the slowest of them can."""
TURN = 2000
"""Messages of a turn at full speed."""

PACED, OWN, AIOHTTP = "rawbot, paced", "rawbot", "aiohttp"

CPU_GROWTH = 1.2
PROBE_P99 = 20.0
IDLE_BYTES = 4096
STREAM_BYTES = 1024
START_BYTES = 25 * 1024 * 1024
LEFT = 0.02
"""Of the pieces of memory that streams took, how many may be in use when all are forgotten: tables, caches."""

PATIENCE = 180.0
"""Seconds for a process to do what it was told; a climb is the longest of it."""

_WARM_UP = 2000
_PROBE_SHARE = 0.08
_MB = 1e6


class Bound(NamedTuple):
    """Something that must hold."""

    title: str
    value: float
    limit: float
    spec: str = ".2f"

    @property
    def met(self) -> bool:
        """Whether it holds."""
        return self.value <= self.limit

    @property
    def line(self) -> str:
        """Say it in a line."""
        verdict = "met" if self.met else "missed"
        return f"{self.title:52}{self.value:>12{self.spec}}   at most {self.limit:>10{self.spec}}   {verdict}"


class Terms(NamedTuple):
    """How much is done."""

    streams: int
    rounds: int
    probe_seconds: float
    """Of each round."""

    @property
    def probe_messages(self) -> int:
        """How many messages a round's probe takes."""
        return int(RATE * self.probe_seconds)


@dataclass(frozen=True, slots=True)
class Climbed:
    """What one server was like on its way up, at the top beside a fresh one, and, if it was let, at the end."""

    seconds: Sequence[Second]
    growth: Series
    """CPU time per message, full to fresh."""
    probe: Sequence[float]
    """Seconds that each message of the probe took."""
    fresh_probe: Sequence[float]
    empty: State
    full: State
    """Its pauses are those of the climb."""
    probed: State
    forgotten: State | None = None

    @property
    def bytes_per_stream(self) -> float:
        """What the process has grown by for each stream of the climb."""
        return (self.full.memory - self.empty.memory) / (self.full.streams - self.empty.streams)


@dataclass(frozen=True, slots=True)
class Held:
    """What single things hold, bytes each."""

    running: float
    idle: float
    connections: int


def run(
    *, rounds: int = ROUNDS, seconds: float = SECONDS, progress: Progress, streams: int = STREAMS, idle: int = IDLE
) -> Result:
    """Measure it; of the `seconds` that it takes on a quiet machine, all but the climbs follow what is given."""
    cores = usable_cores()
    first, second = (cores[0], cores[1]) if len(cores) > 1 else (None, None)
    terms = Terms(streams, rounds, seconds * _PROBE_SHARE / rounds)
    progress("starting")
    start, bare = measure_start()
    climbed: dict[str, Climbed] = {}
    with started(generate, second) as load:
        progress("encrypting messages")
        _ask(load, Prepare(_WARM_UP + streams + rounds * (TURN + terms.probe_messages)))
        for name, work in _servers().items():
            progress(name)
            with _serving(work, first) as server, _serving(work, first) as fresh:
                climbed[name] = _Ascent(load, terms, server, fresh).run(name)
        progress("idle connections")
        with _serving(partial(serve_rawbot, paced=True), first) as server:
            held = _hold(load, server, idle, min(RUNNING, streams))
    return _report(climbed, held, start, bare)


def _servers() -> dict[str, Work]:
    servers: dict[str, Work] = {PACED: partial(serve_rawbot, paced=True), OWN: partial(serve_rawbot, paced=False)}
    if importlib.util.find_spec("aiohttp") is not None:
        servers[AIOHTTP] = serve_aiohttp
    return servers


class _Server:
    """A server, and the load that is told to go against it."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._at = cast("Listening", _hear(pipe))

    def look(self, order: object = LOOK) -> State:
        """Tell it something; return how it is."""
        return cast("State", _ask(self._pipe, order))

    def climb(self, load: Connection, first: int, last: int) -> Outcome:
        """Have these messages sent to it."""
        return cast("Outcome", _ask(load, Climb(self._at.port, self._at.pid, first, last)))

    def probe(self, load: Connection, first: int, seconds: float) -> list[float]:
        """Have those that follow sent steadily."""
        return cast("list[float]", _ask(load, Probe(self._at.port, first, RATE, seconds)))

    def gather(self, load: Connection, connections: int) -> int:
        """Have so many connections opened and used once; return how many there are."""
        return cast("int", _ask(load, Crowd(self._at.port, connections)))


@contextlib.contextmanager
def _serving(work: Work, core: int | None) -> Iterator[_Server]:
    with started(work, core) as pipe:
        yield _Server(pipe)


class _Ascent:
    """One server's way up, and what it is like there beside a fresh one."""

    def __init__(self, load: Connection, terms: Terms, server: _Server, fresh: _Server) -> None:
        self._load = load
        self._terms = terms
        self._server = server
        self._fresh = fresh

    def run(self, name: str) -> Climbed:
        """Take all steps."""
        server, streams = self._server, self._terms.streams
        server.climb(self._load, 0, _WARM_UP)
        empty = server.look(COLLECT)
        first = _WARM_UP
        if name == AIOHTTP:
            first += streams * 4 // 5
            empty = server.look(Fill(streams * 4 // 5))
        seconds = server.climb(self._load, first, _WARM_UP + streams).seconds
        full = server.look()
        self._fresh.climb(self._load, 0, _WARM_UP)
        growth, probe, fresh_probe = self._compare(_WARM_UP + streams)
        probed = server.look()
        forgotten = None
        if name != AIOHTTP:
            server.look(FORGET)
            forgotten = server.look(COLLECT)
        return Climbed(seconds, growth, probe, fresh_probe, empty, full, probed, forgotten)

    def _compare(self, first: int) -> tuple[Series, list[float], list[float]]:
        """Give both their turns with the same messages: CPU time of the full one to the fresh one's, and the probes."""
        growth: list[float] = []
        probes: dict[_Server, list[float]] = {self._server: [], self._fresh: []}
        for number in range(self._terms.rounds):
            cpu = {}
            for server in (self._server, self._fresh)[:: -1 if number % 2 else 1]:
                cpu[server] = server.climb(self._load, first, first + TURN).cpu_us
                probes[server] += server.probe(self._load, first + TURN, self._terms.probe_seconds)
            growth.append(cpu[self._server] / cpu[self._fresh])
            first += TURN + self._terms.probe_messages
        return Series(tuple(growth)), probes[self._server], probes[self._fresh]


def _hold(load: Connection, server: _Server, idle: int, running: int) -> Held:
    server.climb(load, 0, _WARM_UP)
    server.look(HOLD)
    before = server.look(COLLECT)
    server.climb(load, _WARM_UP, _WARM_UP + running)
    busy = server.look(COLLECT)
    connections = server.gather(load, idle)
    crowded = server.look(COLLECT)
    assert _ask(load, LEAVE) == connections
    return Held(
        (busy.memory - before.memory) / (busy.streams - before.streams),
        (crowded.memory - busy.memory) / connections,
        connections,
    )


def _ask(pipe: Connection, order: object) -> object:
    pipe.send(order)
    return _hear(pipe)


def _hear(pipe: Connection) -> object:
    if not pipe.poll(PATIENCE):
        raise Failed(f"a process says nothing within {PATIENCE:.0f} s")
    try:
        return receive(pipe)
    except RuntimeError as error:
        raise Failed(str(error)) from None


# What is printed


_COLUMNS = (
    ("", "", 16), ("CPU µs", "at first", 9), ("CPU per message,", "full / fresh", 20), ("worst", "s, p99", 9),
    ("probe:", "p50 ms", 9), ("", "p99", 8), ("", "longest", 9), ("fresh:", "p99", 8), ("pauses:", "full", 9),
    ("", "CPU ms", 8), ("bytes/", "stream", 8),
)  # fmt: skip
_HEAD = tuple("".join(f"{column[row]:>{column[2]}}" for column in _COLUMNS) for row in (0, 1))


def _report(climbed: dict[str, Climbed], held: Held, start: int, bare: int) -> Result:
    ours = climbed[PACED]
    bounds = _judge(ours, held, start)
    crowded = quantiles(ours.fresh_probe)[1] > PROBE_P99
    lines = [
        *_HEAD,
        *(_line(name, each) for name, each in climbed.items()),
        *([] if AIOHTTP in climbed else ["aiohttp is not installed, and was left out (pip install 'rawbot[bench]')"]),
        "",
        "CPU µs per message, second by second",
        *(f"{name:16}" + " ".join(f"{s.cpu_us:.0f}" for s in each.seconds) for name, each in climbed.items()),
        "",
        f"a stream whose handler still runs, with its task and all that was said: {held.running:,.0f} bytes",
        f"an idle keep-alive connection: {held.idle:,.0f} bytes; {held.connections:,} were held",
        f"after start: {start / _MB:.1f} MB; a Python that has imported asyncio alone: {bare / _MB:.1f} MB",
        *_memory_lines(ours),
        "",
        *(bound.line for bound in bounds),
        *(["something else has the cores: a fresh server's p99 is above the bound, too"] if crowded else []),
    ]
    figures: dict[str, object] = {
        "climbs": {name: _to_json(each) for name, each in climbed.items()},
        "running_stream_bytes": held.running, "idle_connection_bytes": held.idle, "idle_connections": held.connections,
        "start_bytes": start, "asyncio_bytes": bare,
        "bounds": {bound.title: [bound.value, bound.limit] for bound in bounds},
    }  # fmt: skip
    return Result("flat", lines, figures, tuple(f"missed: {bound.title}" for bound in bounds if not bound.met))


def _judge(ours: Climbed, held: Held, start: int) -> list[Bound]:
    bounds = [
        Bound("CPU per message, full / fresh", ours.growth.median, CPU_GROWTH),
        Bound(f"p99 at {RATE:,.0f} messages a second, full, ms", quantiles(ours.probe)[1], PROBE_P99),
        Bound("bytes per stream", ours.bytes_per_stream, STREAM_BYTES, ",.0f"),
        Bound("bytes per idle keep-alive connection", held.idle, IDLE_BYTES, ",.0f"),
        Bound("bytes after start", start, START_BYTES, ",.0f"),
    ]
    if ours.forgotten is not None:
        left = (ours.forgotten.blocks - ours.empty.blocks) / (ours.probed.blocks - ours.empty.blocks)
        bounds.append(Bound("pieces of memory still in use when all is forgotten", left, LEFT))
    return bounds


def _memory_lines(ours: Climbed) -> list[str]:
    if ours.forgotten is None:
        return []
    grown = ours.probed.memory - ours.empty.memory
    returned = ours.probed.memory - ours.forgotten.memory
    empty, full, forgotten = (state.memory / _MB for state in (ours.empty, ours.probed, ours.forgotten))
    return [
        f"resident: {empty:.1f} MB, {full:.1f} MB with {ours.probed.streams:,} streams, {forgotten:.1f} MB afterwards",
        f"({returned / grown:.0%} of it went back to the system, the rest waits in Python's arenas to be used again)",
    ]


def _line(name: str, each: Climbed) -> str:
    worst = max(second.p99 for second in each.seconds)
    full = each.full.full_collections + each.probed.full_collections
    pause = 1e3 * max(each.full.longest_pause, each.probed.longest_pause)
    p50, p99, longest = quantiles(each.probe)
    fresh = quantiles(each.fresh_probe)[1]
    return (
        f"{name:16}{each.seconds[0].cpu_us:>9.1f}{each.growth.format():>20}{worst:>9.1f}{p50:>9.1f}{p99:>8.1f}"
        f"{longest:>9.1f}{fresh:>8.1f}{full:>9}{pause:>8.1f}{each.bytes_per_stream:>8.0f}"
    )


def _to_json(each: Climbed) -> dict[str, object]:
    states = {"empty": each.empty, "full": each.full, "probed": each.probed, "forgotten": each.forgotten}
    return {
        "seconds": [second._asdict() for second in each.seconds],
        "full_to_fresh_cpu": each.growth.to_json(),
        "probe_p50_p99_longest_ms": quantiles(each.probe),
        "fresh_probe_p50_p99_longest_ms": quantiles(each.fresh_probe),
        "bytes_per_stream": each.bytes_per_stream,
        **{name: state._asdict() for name, state in states.items() if state is not None},
    }


if __name__ == "__main__":
    try:
        result = run(progress=print)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    print(*result.lines, sep="\n")
    raise SystemExit(1 if result.faults else 0)
