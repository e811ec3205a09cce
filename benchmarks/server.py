"""`server`: rawbot on a loopback socket, the load in a process of its own, against an asyncio server that does nothing.

64 kept connections send distinct encrypted messages, each its next one when it has its answer. Where the system lets
us, server and load have a core each. The figure to look at is the CPU time of the server's process per request, handler
and garbage collector included: it hardly depends on the load. With all connections always busy, the times to answer are
how long one waits among 64, not how long an answer takes by itself.

The other contender is a bare `asyncio.Protocol` that writes the same number of bytes for whatever comes: the sockets
and the loop, and nothing of ours. It is cheaper than the load, so its requests per second are the load's.
"""

import contextlib
from functools import partial
from multiprocessing.connection import Connection

from benchmarks.load import CONNECTIONS, GO, Order, Outcome, generate_load
from benchmarks.measuring import Figures, Measured, Progress, Turn, fitting, interleave, to_json
from benchmarks.processes import receive, started
from benchmarks.record import Result, usable_cores
from benchmarks.served import CPU, serve_constant, serve_rawbot

ROUNDS = 7
SECONDS = 8.0

OURS, BARE = "rawbot", "bare asyncio"
RATE, SERVER_CPU, LOAD_CPU, P50, P99 = "requests_per_second", "server_cpu_us", "load_cpu_us", "p50_ms", "p99_ms"

_WARM_UP = 8 * CONNECTIONS


def run(*, rounds: int = ROUNDS, seconds: float = SECONDS, progress: Progress) -> Result:
    """Measure both servers; `seconds` is what they take together."""
    cores = usable_cores()
    server_core, load_core = (cores[0], cores[1]) if len(cores) > 1 else (None, None)
    progress("starting")
    with contextlib.ExitStack() as processes:
        load = processes.enter_context(started(generate_load, load_core))
        turns: dict[str, Turn] = {}
        for name, work in ((OURS, serve_rawbot), (BARE, serve_constant)):
            pipe = processes.enter_context(started(work, server_core))
            turn = partial(_take_turn, load, pipe, _port(pipe), genuine=name == OURS)
            turn(_WARM_UP)
            rate = turn(_WARM_UP)[RATE]
            turns[name] = partial(turn, fitting(seconds / rounds / 2, 1e6 / rate, least=2 * CONNECTIONS))
        measured = interleave(turns, rounds, progress=progress)
    return _report(measured, rounds=rounds, pinned=server_core is not None)


def _take_turn(load: Connection, server: Connection, port: int, requests: int, *, genuine: bool) -> Figures:
    """Let the load go against one server; the other one sleeps."""
    load.send(Order(port, requests, genuine))
    receive(load)  # ready
    before = _cpu_seconds(server)
    load.send(GO)
    outcome = receive(load)
    assert isinstance(outcome, Outcome)
    return {
        RATE: requests / outcome.elapsed,
        SERVER_CPU: (_cpu_seconds(server) - before) / requests * 1e6,
        LOAD_CPU: outcome.cpu / requests * 1e6,
        P50: outcome.p50 * 1e3,
        P99: outcome.p99 * 1e3,
    }


def _port(server: Connection) -> int:
    port = receive(server)
    assert isinstance(port, int)
    return port


def _cpu_seconds(server: Connection) -> float:
    server.send(CPU)
    seconds = receive(server)
    assert isinstance(seconds, float)
    return seconds


def _report(measured: Measured, *, rounds: int, pinned: bool) -> Result:
    placed = "server and load pinned to a core each" if pinned else "processes not pinned"
    lines = [
        f"{CONNECTIONS} connections, {placed}; median (p10–p90) of {rounds} interleaved rounds",
        "",
        f"{'':14}{'requests/s':<25}{'server CPU µs/request':<23}{'p50 ms':<21}{'p99 ms':<23}load CPU µs/request",
    ]
    for name, row in measured.items():
        lines.append(
            f"{name:<14}{row[RATE].format(',.0f'):<25}{row[SERVER_CPU].format('.1f'):<23}{row[P50].format():<21}"
            f"{row[P99].format():<23}{row[LOAD_CPU].format('.1f')}"
        )
    ratio = measured[OURS][SERVER_CPU] / measured[BARE][SERVER_CPU]
    lines += ["", f"server CPU, rawbot / bare asyncio: {ratio.format()}", f"round by round: {ratio.format_rounds()}"]
    figures = to_json(measured) | {"ours_to_bare_cpu": ratio.to_json(), "pinned": pinned}
    return Result("server", lines, figures)
