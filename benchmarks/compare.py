"""What has changed since a record, whatever mood the machine was in.

A contender's CPU time is divided by that of the constant answer in the same round, then and now; the change is the
ratio of the two. Where their spreads (p10 to p90 of the rounds) meet, nothing is said to have changed.
"""

from benchmarks.contenders import LIMIT
from benchmarks.measuring import Series
from benchmarks.tables import Row, Table, Tables, by_cpu, count_connections

UNCHANGED, LESS, MORE = "within the spread", "less", "more"


def compare(earlier: Tables, now: Tables) -> list[str]:
    """Return the lines that tell it."""
    lines = []
    for connections, table in now.items():
        if connections not in earlier:
            lines.append(f"{count_connections(connections)}: not in the record")
            continue
        lines += ["", f"{count_connections(connections)}, CPU µs/request", *_compare(earlier[connections], table)]
    return lines


def judge_change(then: Series, now: Series) -> str:
    """Tell two series of ratios apart, if their spreads can be."""
    if now.low <= then.high and then.low <= now.high:
        return UNCHANGED
    return LESS if now.median < then.median else MORE


def _compare(earlier: Table, now: Table) -> list[str]:
    if LIMIT not in earlier or LIMIT not in now:
        return [f"cannot be compared: {LIMIT} was not measured both times"]
    lines = [f"{'':36}{'then':>8}{'now':>8}{'change beside constant':>25}"]
    for row in by_cpu(now):
        if row.name == LIMIT:
            continue
        told = _change(row, now[LIMIT], earlier[row.name], earlier[LIMIT]) if row.name in earlier else "  new here"
        lines.append(f"{row.name:36}{told}")
    gone = sorted(earlier.keys() - now.keys())
    return lines + ([f"measured then and not now: {', '.join(gone)}"] if gone else [])


def _change(row: Row, limit: Row, row_then: Row, limit_then: Row) -> str:
    now, then = row.cpu / limit.cpu, row_then.cpu / limit_then.cpu
    times = f"× {now.median / then.median:.2f}"
    return f"{row_then.cpu.median:8.1f}{row.cpu.median:8.1f}{times:>25}  {judge_change(then, now)}"
