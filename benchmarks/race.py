"""A race: servers, each a process of its own, take turns in interleaved rounds under the load of one generator.

The servers share one core, the generator has the other, where there are two. All servers run from beginning to end, and
one of them works at a time. A turn has as many requests as fit into its share of the time, the same number in every
round. The figure to look at is the CPU time of the server per request, with a generator that never sleeps; no server
can be seen to answer more requests a second than that sends. With all connections always busy, times to answer are how
long one waits among them.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from benchmarks.contenders import Chosen, Contender
from benchmarks.generators import Generator, Load, generating
from benchmarks.measuring import Contest, Failed, Figures, Measured, Progress, Turn, fitting
from benchmarks.pools import Pool
from benchmarks.progress import Meter
from benchmarks.record import usable_cores
from benchmarks.servers import Server, serving
from benchmarks.tables import CPU, LOAD_CPU, MEMORY, P50, P99, RATE, count_connections

Entrant = tuple[Contender, Server]
Step = Callable[[str], None]
"""Is told what begins, about as long as what began before."""

_WARM_UP = 400
_LEAST = 100
_MOST_HELD = 3_000
"""Requests in a turn of LangBot's client, which forgets streams beyond some thousands."""
_DEVIATION = 0.05
"""How much longer or shorter than in the sample answers may be on average: the head's date, an id that grows."""


class Stage(NamedTuple):
    """A scenario, what makes its requests, and the numbers of connections to measure it with."""

    scenario: str
    make_pool: Callable[[], Pool]
    connections: Sequence[int]


@dataclass(slots=True)
class Run:
    """What a run has come to in one scenario."""

    scenario: str
    generator: str
    pinned: bool
    chosen: Chosen
    tables: dict[int, Measured] = field(default_factory=dict)
    """What was measured, by number of connections; less than was asked for when it was cut short."""
    failures: dict[str, str] = field(default_factory=dict)
    """What is wrong with those who were not measured to the end."""
    interrupted: bool = False


class Race:
    """Servers that are up, and what loads them; what comes of it goes into `run`."""

    def __init__(self, run: Run, pool: Pool, generator: Generator, servers: dict[str, Entrant], step: Step) -> None:
        self._run = run
        self._pool = pool
        self._generator = generator
        self._servers = servers
        self._step = step

    def race(self, connections: int, rounds: int, seconds: float) -> None:
        """Take all rounds at one number of connections, `seconds` a turn; what is measured stays if they are cut."""

        def told(text: str) -> None:
            self._step(f"{count_connections(connections)}, {text}")

        contest = Contest(self._warm_up(connections, seconds, told))
        try:
            contest.run(rounds, progress=told, prepare=self._pool.renew)
        finally:
            self._run.tables[connections] = contest.measured()
            for name, why in contest.failures.items():
                self._give_up(name, why)

    def _warm_up(self, connections: int, seconds: float, told: Step) -> dict[str, Turn]:
        """Return the turns of those who answer rightly."""
        turns: dict[str, Turn] = {}
        for name in list(self._servers):
            told(f"warming up {name}")
            try:
                for count in (_WARM_UP // 2, _WARM_UP):
                    self._pool.renew()
                    rate = self._take_turn(name, connections, count)[RATE]
            except Failed as failure:
                self._give_up(name, str(failure))
                continue
            most = _MOST_HELD if self._servers[name][0].peer.role == "langbot" else self._pool.most
            count = fitting(seconds, 1e6 / rate, least=max(_LEAST, 2 * connections), most=most)
            turns[name] = partial(self._take_turn, name, connections, count)
        return turns

    def _give_up(self, name: str, why: str) -> None:
        self._run.failures[name] = why
        del self._servers[name]

    def _take_turn(self, name: str, connections: int, count: int) -> Figures:
        contender, server = self._servers[name]
        pool = self._pool
        try:
            requests = pool.take(server.port, count, contender.peer.role)
            load = Load(server.port, requests, connections, pool.way, pool.check)
            outcome = self._generator.carry_out(load, server.cpu_ns)
        except Failed as failure:
            raise Failed(f"{failure}{server.last_words()}") from None
        if abs(outcome.size / pool.size - 1) > _DEVIATION:
            raise Failed(f"answers of {outcome.size:.0f} bytes under load, of {pool.size:.0f} otherwise")
        return {
            CPU: outcome.server_ns / count / 1e3,
            RATE: count / outcome.elapsed,
            P50: outcome.p50 * 1e6,
            P99: outcome.p99 * 1e6,
            MEMORY: server.memory() / 1e6,
            LOAD_CPU: outcome.cpu / count * 1e6,
        }


def race(
    stages: Sequence[Stage], chosen: Chosen, *, rounds: int, seconds: float, generator: str, progress: Progress
) -> list[Run]:
    """Measure the contenders, stage after stage; `seconds` is about what the rounds of all of them take together.

    What is wrong with a contender is told in the results, and the others go on; so is a Ctrl-C. Raises `Failed` when
    there is no such generator.
    """
    cores = usable_cores()
    first, second = (cores[0], cores[1]) if len(cores) > 1 else (None, None)
    contests = [(index, width) for index, stage in enumerate(stages) for width in stage.connections]
    with contextlib.ExitStack() as processes:
        load = processes.enter_context(generating(generator, second))
        failures: dict[str, str] = {}
        runs = [Run(stage.scenario, load.title, first is not None, chosen, failures=failures) for stage in stages]
        share = seconds / len(contests) / rounds / max(len(chosen.contenders), 1)
        meter = Meter((len(contests) * (rounds + 1) + 1) * len(chosen.contenders), progress)
        try:
            servers = _start(processes, chosen, failures, first, meter.step)
            for index, width in contests:
                stage = stages[index]
                step = partial(_name_scenario, stage, meter.step) if len(stages) > 1 else meter.step
                Race(runs[index], stage.make_pool(), load, servers, step).race(width, rounds, share)
        except KeyboardInterrupt:
            for run in runs:
                run.interrupted = True
            progress("ending all servers")
    return runs


def _name_scenario(stage: Stage, step: Step, text: str) -> None:
    step(f"{stage.scenario}, {text}")


def _start(
    processes: contextlib.ExitStack, chosen: Chosen, failures: dict[str, str], core: int | None, step: Step
) -> dict[str, Entrant]:
    """Start them all, then wait for each: they start at the same time."""
    starting: dict[str, Entrant] = {}
    for contender in chosen.contenders:
        try:
            starting[contender.name] = contender, processes.enter_context(serving(contender, core))
        except Failed as failure:
            failures[contender.name] = str(failure)
    processes.callback(_ask_all_to_end, starting)
    for name, (_, server) in starting.items():
        step(f"starting {name}")
        try:
            server.wait_until_listening()
        except Failed as failure:
            failures[name] = str(failure)
    return {name: pair for name, pair in starting.items() if name not in failures}


def _ask_all_to_end(entrants: Mapping[str, Entrant]) -> None:
    """Begin the end of all of them, since each may take its time."""
    for _, server in entrants.values():
        server.ask_to_end()
