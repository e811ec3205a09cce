"""The command line: `python -m benchmarks [NAME] [options]`, and `python -m benchmarks plot FILE --to DIR`."""

import argparse
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import plot
from benchmarks.contenders import Chosen, Interpreters, choose_for
from benchmarks.generators import GENERATORS
from benchmarks.peers import BY_PLATFORM, Platform
from benchmarks.record import Record, read_records

_PEERS = tuple(dict.fromkeys(name for peers in BY_PLATFORM.values() for name in peers))
_MOST_CONNECTIONS = 1000
_EPILOG = """
examples:
  python -m benchmarks wecom-new --peers aiohttp,granian+cached --connections 64
  python -m benchmarks wecom-new --python python3.13 --json today.jsonl --plot plots
  python -m benchmarks wecom-poll --compare yesterday.jsonl
  python -m benchmarks onebot --interpreter pylibob=/opt/pylibob/bin/python
  python -m benchmarks plot today.jsonl --to plots
"""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for."""

    benchmark: str | None
    """None is all of them."""
    rounds: int | None
    seconds: float | None
    json: Path | None
    connections: tuple[int, ...] | None
    """None is what each benchmark has."""
    chosen: Mapping[Platform, Chosen]
    generator: str
    plots: Path | None
    earlier: Mapping[str, Record]
    """The last record of each benchmark, of those to compare with."""


def parse(arguments: Sequence[str] | None, summaries: Mapping[str, str]) -> Options:
    """Return what is asked for; leave with a message when it cannot be had."""
    parser = _make_parser(summaries)
    said = parser.parse_args(arguments)
    if said.rounds is not None and said.rounds < 1:
        parser.error("--rounds must be at least 1")
    if said.seconds is not None and not 0 < said.seconds < float("inf"):
        parser.error("--seconds must be above 0")
    if said.generator == "wrk" and said.benchmark == "onebot":
        parser.error("onebot has the built-in generator alone: wrk speaks no WebSocket")
    if said.generator == "wrk" and not shutil.which("wrk"):
        parser.error("wrk is not installed: apt-get install wrk, or --generator builtin")
    try:
        if said.plot is not None:
            plot.require()
        earlier = {record.benchmark: record for record in read_records(said.compare)} if said.compare else {}
        chosen = choose_for(_platforms(said.benchmark), said.peers, Interpreters(said.python, dict(said.interpreter)))
    except ValueError as error:
        parser.error(str(error))
    return Options(
        benchmark=said.benchmark,
        rounds=said.rounds,
        seconds=said.seconds,
        json=said.json,
        connections=said.connections,
        chosen=chosen,
        generator=said.generator,
        plots=said.plot,
        earlier=earlier,
    )


def parse_plot(arguments: Sequence[str]) -> tuple[Path, Path]:
    """Return the file to draw, and the folder to draw into."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks plot", description="Draw the last records of a file.")
    parser.add_argument("file", type=Path, metavar="FILE", help="what --json has written")
    parser.add_argument("--to", type=Path, metavar="DIR", default=Path(), help="folder for the SVG and PNG files")
    said = parser.parse_args(arguments)
    return said.file, said.to


def _make_parser(summaries: Mapping[str, str]) -> argparse.ArgumentParser:
    told = "\n".join(f"  {name:12} {summary}" for name, summary in summaries.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"Measure rawbot beside others, in interleaved rounds of one run.\n\nbenchmarks:\n{told}",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("benchmark", nargs="?", choices=list(summaries), help="all of them when none is named")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each contender has its turn")
    parser.add_argument(
        "--seconds", type=float, metavar="S", help="what one benchmark measures for, all rounds together"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="append one JSON line per benchmark to this file")
    _add_servers(parser)
    return parser


def _add_servers(parser: argparse.ArgumentParser) -> None:
    known = (f"for {platform} {', '.join(peers)}" for platform, peers in BY_PLATFORM.items())
    group = parser.add_argument_group("servers over sockets (wecom-new, wecom-poll, onebot)")
    group.add_argument(
        "--connections", type=_connections, metavar="N,…", help="at a time (default: 1,64; for onebot 1,16,64)"
    )
    group.add_argument(
        "--peers", type=_names, metavar="NAME,…",
        help="who takes part beside rawbot and the constant answer; NAME+uvloop, NAME+cached for a part of it; "
        f"all when left out: {'; '.join(known)}",
    )  # fmt: skip
    group.add_argument("--python", action="append", default=[], metavar="EXE", help="run rawbot by this Python as well")
    group.add_argument(
        "--interpreter",
        action="append",
        type=_pair,
        default=[],
        metavar="NAME=EXE",
        help="run a peer by another Python",
    )
    group.add_argument(
        "--generator", choices=GENERATORS, default=GENERATORS[0],
        help="what makes the load (default: builtin; onebot has no other)",
    )  # fmt: skip
    group.add_argument("--plot", type=Path, metavar="DIR", help="draw what was found for WeCom, as SVG and PNG")
    group.add_argument(
        "--compare", type=Path, metavar="FILE", help="tell what has changed for WeCom since the last record in it"
    )


def _platforms(benchmark: str | None) -> tuple[Platform, ...]:
    """Return whose servers a benchmark is about; all take part when all are run."""
    if benchmark is None:
        return tuple(BY_PLATFORM)
    return ("onebot",) if benchmark == "onebot" else ("wecom",)


def _connections(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    numbers = tuple(dict.fromkeys(int(part) for part in parts if part.isdecimal()))
    if not all(part.isdecimal() for part in parts) or not all(0 < number <= _MOST_CONNECTIONS for number in numbers):
        raise argparse.ArgumentTypeError(f"numbers from 1 to {_MOST_CONNECTIONS}, with commas between them")
    return numbers


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _pair(text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    if name not in _PEERS or not path:
        raise argparse.ArgumentTypeError(f"NAME=EXE, where NAME is one of {', '.join(_PEERS)}")
    return name, path
