"""`python -m benchmarks [crypto|callback|server|abuse] [--rounds N] [--seconds S] [--json FILE]`."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from benchmarks import abuse, callback, crypto, server
from benchmarks.record import Result, describe_machine, describe_versions, encode_record

BENCHMARKS: dict[str, ModuleType] = {"crypto": crypto, "callback": callback, "server": server, "abuse": abuse}


def main(arguments: list[str] | None = None) -> int:
    """Run one benchmark, or all of them; print what they find, and append it to a file where one is named.

    Returns the exit status: 1 when something must not be as it was found.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("benchmark", nargs="?", choices=list(BENCHMARKS), help="all of them when none is named")
    parser.add_argument("--rounds", type=int, help="how often each contender has its turn")
    parser.add_argument("--seconds", type=float, help="what one benchmark measures for, all rounds together")
    parser.add_argument("--json", type=Path, metavar="FILE", help="append one JSON line per benchmark to this file")
    options = parser.parse_args(arguments)
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds must be at least 1")
    if options.seconds is not None and not options.seconds > 0:
        parser.error("--seconds must be above 0")
    print(*describe_machine().values(), *(f"{k} {v}" for k, v in describe_versions().items()), sep=", ")
    status = 0
    for name, module in BENCHMARKS.items():
        if options.benchmark in (None, name):
            rounds, seconds = options.rounds or module.ROUNDS, options.seconds or module.SECONDS
            result: Result = module.run(rounds=rounds, seconds=seconds, progress=_progress(name))
            _progress(name)("")
            print(f"\n{name}: ", *result.lines, sep="\n")
            if options.json is not None:
                with options.json.open("ab") as file:
                    file.write(encode_record(result, rounds=rounds, seconds=seconds))
            if isinstance(result, abuse.Judged) and result.faults:
                status = 1
    return status


def _progress(name: str) -> Callable[[str], None]:
    """Return what shows how far a benchmark is: one line on stderr, written over and over, for a terminal only."""

    def show(text: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{name}: {text}" if text else "\r\x1b[K")
            sys.stderr.flush()

    return show


if __name__ == "__main__":
    sys.exit(main())
