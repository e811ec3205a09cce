"""What a race found, in words and figures."""

from benchmarks.bounds import judge
from benchmarks.compare import compare
from benchmarks.contenders import OURS
from benchmarks.record import Record, Result, describe_machine
from benchmarks.tables import (
    MEMORY,
    P50,
    P99,
    RATE,
    Row,
    Table,
    Tables,
    by_cpu,
    count_connections,
    decode_tables,
    encode_tables,
    tabulate,
)
from benchmarks.wecom import Run

_NAME = 36


def report(run: Run, *, rounds: int, earlier: Record | None = None) -> Result:
    """Put it into lines and figures; `earlier` is the record to compare it with."""
    contenders = {contender.name: contender for contender in run.chosen.contenders}
    tables = {width: tabulate(measured, contenders) for width, measured in run.tables.items() if measured}
    verdicts = judge(run.scenario, tables)
    lines = [_conditions(run, rounds)]
    for width, table in tables.items():
        lines += ["", count_connections(width), *_table_lines(table)]
    lines += ["", "must hold: CPU per request, 64 connections", *(verdict.text for verdict in verdicts)]
    if earlier is not None:
        lines += ["", *_since(run, earlier, tables)]
    lines += _absent_lines(run)
    versions = {package: version for each in contenders.values() for package, version in each.versions.items()}
    pythons = {name: contender.interpreter.python for name, contender in contenders.items()}
    lines += ["", f"Python {', '.join(sorted({*pythons.values()}))}; " + _join(versions)]
    faults = [f"{name} cannot be measured" for name in run.failures]
    faults += [f"missed: {verdict.bound.title}" for verdict in verdicts if verdict.met is False]
    figures: dict[str, object] = {
        "connections": encode_tables(tables),
        "generator": run.generator,
        "pinned": run.pinned,
        "pythons": pythons,
        "bounds": {verdict.bound.title: verdict.ratio.to_json() for verdict in verdicts if verdict.ratio is not None},
        "failures": run.failures,
        "skipped": run.chosen.skipped,
        "interrupted": run.interrupted,
    }
    return Result(run.scenario, lines, figures, tuple(faults), versions=versions, interrupted=run.interrupted)


def _since(run: Run, earlier: Record, tables: Tables) -> list[str]:
    """Tell what has changed since a record, and under which other conditions that was made."""
    conditions = describe_machine() | {"generator": run.generator}
    then = earlier.machine | {"generator": earlier.figures.get("generator")}
    changed = [f"{then.get(name)}, now {value}" for name, value in conditions.items() if then.get(name) != value]
    lines = [f"since {earlier.at}", *(f"measured differently: {change}" for change in changed)]
    try:
        return lines + compare(decode_tables(earlier.tables), tables)
    except ValueError as error:
        return [*lines, f"cannot be compared: {error}"]


def _conditions(run: Run, rounds: int) -> str:
    placed = "servers on one core, load on another" if run.pinned else "processes not pinned"
    taken = f"median (p10–p90) of {rounds} interleaved rounds"
    return f"{run.generator}; {placed}; {taken}{', cut short: complete rounds only' if run.interrupted else ''}"


def _table_lines(table: Table) -> list[str]:
    heads = f"{'CPU µs/request':22}{'× rawbot':20}{'requests/s':25}{'p50 µs':24}{'p99 µs':28}RSS MB"
    lines = [f"{'':{_NAME}}{heads}"]
    ours = table.get(OURS)
    rows = by_cpu(table)
    lines += [_row_line(row, ours) for row in rows]
    if ours is not None:
        lines += ["", f"CPU as a multiple of {OURS}'s, round by round"]
        lines += [f"{row.name:{_NAME}}{(row.cpu / ours.cpu).format_rounds()}" for row in rows if row is not ours]
    return lines


def _row_line(row: Row, ours: Row | None) -> str:
    times = (row.cpu / ours.cpu).format() if ours is not None else "–"
    cells = [f"{row.name:{_NAME}}", f"{row.cpu.format('.1f'):22}", f"{times:20}"]
    widths = {RATE: 25, P50: 24, P99: 28}
    cells += [f"{row.series[figure].format(',.0f'):{width}}" for figure, width in widths.items()]
    return "".join([*cells, f"{row.series[MEMORY].rounds[-1]:.1f}"])


def _absent_lines(run: Run) -> list[str]:
    lines = ["", "skipped", *run.chosen.skipped] if run.chosen.skipped else []
    if run.failures:
        lines += ["", "cannot be measured", *(f"{name}: {why}" for name, why in run.failures.items())]
    return lines


def _join(versions: dict[str, str]) -> str:
    return ", ".join(f"{package} {version}" for package, version in sorted(versions.items()))
