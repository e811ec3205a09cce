"""`python -m benchmarks`: run benchmarks, or draw what they have found."""

import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType

from benchmarks import abuse, callback, crypto, flat, onebot, plot, wecom
from benchmarks.arguments import Options, parse, parse_plot
from benchmarks.bounds import judge_callback, judge_crypto
from benchmarks.measuring import Failed, Progress
from benchmarks.progress import on_terminal
from benchmarks.record import (
    Result,
    decode_record,
    describe_machine,
    describe_versions,
    encode_record,
    read_records,
)
from benchmarks.report import report, report_stages

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it."""

Judge = Callable[[Result], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark: what it tells, how long it takes when nobody says, how it is run, what it must not find."""

    summary: str
    rounds: int
    seconds: float
    run: Callable[[Options, int, float, Progress], Result]
    judge: Judge


def _own_faults(result: Result) -> tuple[str, ...]:
    return result.faults


def _alone(module: ModuleType, summary: str, judge: Judge = _own_faults) -> Benchmark:
    """Return a benchmark that has no more options than rounds and seconds."""

    def run(_options: Options, rounds: int, seconds: float, progress: Progress) -> Result:
        result: Result = module.run(rounds=rounds, seconds=seconds, progress=progress)
        return result

    return Benchmark(summary, module.ROUNDS, module.SECONDS, run, judge)


def _race(scenario: str, options: Options, rounds: int, seconds: float, progress: Progress) -> Result:
    run = wecom.race(
        scenario, options.chosen["wecom"], connections=options.connections or wecom.CONNECTIONS, rounds=rounds,
        seconds=seconds, generator=options.generator, progress=progress,
    )  # fmt: skip
    return report(run, rounds=rounds, earlier=options.earlier.get(scenario))


def _race_onebot(options: Options, rounds: int, seconds: float, progress: Progress) -> Result:
    connections = options.connections or onebot.CONNECTIONS
    chosen = options.chosen["onebot"]
    runs = onebot.race(chosen, connections=connections, rounds=rounds, seconds=seconds, progress=progress)
    return report_stages("onebot", runs, rounds=rounds)


def _among_peers(scenario: str, summary: str) -> Benchmark:
    return Benchmark(summary, wecom.ROUNDS, wecom.SECONDS, partial(_race, scenario), _own_faults)


BENCHMARKS: dict[str, Benchmark] = {
    "crypto": _alone(crypto, "verify, decrypt, encrypt, sign, beside fresh ciphers", judge_crypto),
    "callback": _alone(callback, "one connection in memory, beside h11 alone", judge_callback),
    "wecom-new": _among_peers("wecom-new", "servers over sockets, beside peers and limits: new messages"),
    "wecom-poll": _among_peers("wecom-poll", "the same: polls of open streams"),
    "onebot": Benchmark(
        "actions of OneBot 12 over HTTP and WebSocket, beside pylibob and aiohttp",
        onebot.ROUNDS,
        onebot.SECONDS,
        _race_onebot,
        _own_faults,
    ),
    "flat": _alone(flat, "200,000 streams and 10,000 connections: CPU, pauses, memory"),
    "abuse": _alone(abuse, "everything that clients do wrong, beside normal traffic"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run one benchmark, or all of them; print what they find, and write and draw it where that is asked for.

    Returns the exit status: 1 when something must not be as it was found, 130 when it was cut short.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["plot"]:
        return draw(arguments[1:])
    options = parse(arguments, {name: benchmark.summary for name, benchmark in BENCHMARKS.items()})
    print(*describe_machine().values(), *(f"{k} {v}" for k, v in describe_versions().items()), sep=", ")
    status = 0
    for name in [options.benchmark] if options.benchmark else BENCHMARKS:
        try:
            status = max(status, run(name, options))
        except KeyboardInterrupt:
            status = INTERRUPTED
        if status == INTERRUPTED:
            print("\ncut short", file=sys.stderr)
            break
    return status


def run(name: str, options: Options) -> int:
    """Run one benchmark and tell what it finds; return the exit status."""
    benchmark = BENCHMARKS[name]
    rounds, seconds = options.rounds or benchmark.rounds, options.seconds or benchmark.seconds
    progress = on_terminal(name)
    try:
        result = benchmark.run(options, rounds, seconds, progress)
    except Failed as failure:
        print(f"\n{name}: cannot be measured: {failure}")
        return 1
    finally:
        progress("")
    print(f"\n{name}: ", *result.lines, sep="\n")
    record = encode_record(result, rounds=rounds, seconds=seconds)
    if options.json is not None:
        with options.json.open("ab") as file:
            file.write(record)
    if options.plots is not None and result.figures.get("connections"):
        print("", *plot.draw(decode_record(record), options.plots), sep="\n")
    faults = benchmark.judge(result)
    if faults:
        print("", *(f"✘ {fault}" for fault in faults), sep="\n")
    if result.interrupted:
        return INTERRUPTED
    return 1 if faults else 0


def draw(arguments: list[str]) -> int:
    """Draw the last record of each benchmark in a file; return the exit status."""
    source, folder = parse_plot(arguments)
    try:
        plot.require()
        last = {record.benchmark: record for record in read_records(source) if record.figures.get("connections")}
        drawn = [file for record in last.values() for file in plot.draw(record, folder)]
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(*(drawn or ["there is nothing to draw: no record of servers over sockets"]), sep="\n")
    return 0 if drawn else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # an end like any other: no server stays behind
    sys.exit(main())
