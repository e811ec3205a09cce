"""What must hold, judged in the run that measured it: a bound that is missed makes the exit status 1.

A peer is judged as its users have it, with an AES object per message, but without an access log; what the same ratio is
beside cached ciphers, or with the log that a peer writes by itself, is told with it.
"""

from dataclasses import dataclass
from typing import NamedTuple

from benchmarks import callback, crypto
from benchmarks.measuring import Series
from benchmarks.record import Result
from benchmarks.tables import Row, Table, Tables, by_cpu

COMPILED = "compiled"
REQUIRED = frozenset({"granian", "blacksheep"})
"""Without these two, who is the best compiled peer cannot be told."""

_FRESH = ("fresh", "own", "")
_TITLES = {"langbot": "LangBot's client", COMPILED: "the best compiled peer", "constant": "the constant answer"}


@dataclass(frozen=True, slots=True)
class Bound:
    """CPU per request: ours may be at most so many times theirs.

    `theirs` is a peer's name, on asyncio, or `COMPILED`: the cheapest that parses HTTP in C or Rust, on any loop.
    """

    scenario: str
    ours: str
    theirs: str
    most: float
    connections: int = 64

    @property
    def title(self) -> str:
        """What is compared."""
        return f"{self.ours} / {_TITLES.get(self.theirs, self.theirs)}"


BOUNDS = (
    Bound("wecom-new", "rawbot", "langbot", 0.05),
    Bound("wecom-new", "rawbot", "aiohttp", 0.35),
    Bound("wecom-new", "rawbot", COMPILED, 0.55),
    Bound("wecom-new", "rawbot", "constant", 6.0),
    Bound("wecom-new", "rawbot+uvloop", COMPILED, 0.45),
    Bound("wecom-poll", "rawbot", COMPILED, 0.5),
    Bound("onebot-http", "rawbot", "pylibob", 0.333),
    Bound("onebot-ws", "rawbot", "pylibob", 0.333),
)


class Verdict(NamedTuple):
    """What became of a bound; `met` is None when somebody who is needed did not take part."""

    bound: Bound
    met: bool | None
    ratio: Series | None
    text: str
    """What was found, to stand behind a title."""


def judge(scenario: str, tables: Tables) -> list[Verdict]:
    """Judge all bounds of a scenario."""
    return [_judge(bound, tables.get(bound.connections, {})) for bound in BOUNDS if bound.scenario == scenario]


def judge_callback(result: Result) -> tuple[str, ...]:
    """Return what `callback` must not have found."""
    ratio = _median(result.figures, "message", "ours_to_h11")
    return (
        () if ratio <= callback.TARGET else (f"a message costs {ratio:.2f} times h11 alone, above {callback.TARGET}",)
    )


def judge_crypto(result: Result) -> tuple[str, ...]:
    """Return what `crypto` must not have found."""
    ratio = _median(result.figures, str(crypto.TARGET_SIZE), "fresh_to_ours")
    return () if ratio >= crypto.TARGET else (f"fresh AES objects cost {ratio:.2f} times ours, below {crypto.TARGET}",)


def _judge(bound: Bound, table: Table) -> Verdict:
    ours, theirs = table.get(bound.ours), _find(bound, table, _FRESH)
    if ours is None or theirs is None:
        return Verdict(bound, None, None, f"at most {bound.most:<5} not judged: not all took part")
    ratio = ours.cpu / theirs.cpu
    met = ratio.median <= bound.most
    told = f"at most {bound.most:<5} {'met' if met else 'missed':8}{ratio.format():20}"
    other = _find(bound, table, ("cached",)) or table.get(f"{bound.theirs}-run")
    beside = f"; {(ours.cpu / other.cpu).median:.2f} of {other.name}" if other else ""
    return Verdict(bound, met, ratio, f"{told}of {theirs.name}{beside}")


def _find(bound: Bound, table: Table, ciphers: tuple[str, ...]) -> Row | None:
    rows = [row for row in by_cpu(table) if row.ciphers in ciphers]
    if bound.theirs == COMPILED:
        compiled = [row for row in rows if row.role == COMPILED]
        return compiled[0] if {row.peer for row in compiled} >= REQUIRED else None
    return next((row for row in rows if row.peer == bound.theirs and row.loop == "asyncio"), None)


def _median(figures: object, *path: str) -> float:
    for key in (*path, "median"):
        assert isinstance(figures, dict)
        figures = figures[key]
    assert isinstance(figures, float)
    return figures
