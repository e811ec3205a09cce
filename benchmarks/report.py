"""What a race found, in words and figures."""

from collections.abc import Mapping, Sequence

from benchmarks.bounds import Verdict, judge
from benchmarks.compare import compare
from benchmarks.contenders import OURS
from benchmarks.generators import HINT
from benchmarks.race import Run
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

_NAME = 36


def report(run: Run, *, rounds: int, earlier: Record | None = None) -> Result:
    """Put it into lines and figures; `earlier` is the record to compare it with."""
    tables = _tabulate(run)
    verdicts = {verdict.bound.title: verdict for verdict in judge(run.scenario, tables)}
    lines = [_conditions(run, rounds), *_tables_lines(tables), *_bounds_lines(verdicts)]
    if earlier is not None:
        lines += ["", *_since(run, earlier, tables)]
    return _conclude(run.scenario, run, lines, verdicts, {"connections": encode_tables(tables)})


def report_stages(name: str, runs: Sequence[Run], *, rounds: int) -> Result:
    """Put what the stages of one race found into lines and figures, by the names of their scenarios."""
    lines = [_conditions(runs[0], rounds).replace(HINT, "")]
    verdicts: dict[str, Verdict] = {}
    figures: dict[str, object] = {}
    for run in runs:
        tables = _tabulate(run)
        lines += ["", f"== {run.scenario}", *_tables_lines(tables)]
        verdicts |= {f"{run.scenario}, {verdict.bound.title}": verdict for verdict in judge(run.scenario, tables)}
        figures[run.scenario] = encode_tables(tables)
    return _conclude(name, runs[0], [*lines, *_bounds_lines(verdicts)], verdicts, {"scenarios": figures})


def _conclude(
    name: str, run: Run, lines: list[str], verdicts: Mapping[str, Verdict], tables: Mapping[str, object]
) -> Result:
    """Add what all scenarios of a race share: who was not measured, by what the others are run, and what is wrong."""
    contenders = run.chosen.contenders
    versions = {package: version for each in contenders for package, version in each.versions.items()}
    pythons = {each.name: each.interpreter.python for each in contenders}
    lines += [*_absent_lines(run), "", f"Python {', '.join(sorted({*pythons.values()}))}; " + _join(versions)]
    faults = [f"{name} cannot be measured" for name in run.failures]
    faults += [f"missed: {title}" for title, verdict in verdicts.items() if verdict.met is False]
    figures: dict[str, object] = {
        **tables,
        "generator": run.generator,
        "pinned": run.pinned,
        "pythons": pythons,
        "bounds": {title: verdict.ratio.to_json() for title, verdict in verdicts.items() if verdict.ratio is not None},
        "failures": run.failures,
        "skipped": run.chosen.skipped,
        "interrupted": run.interrupted,
    }
    return Result(name, lines, figures, tuple(faults), versions=versions, interrupted=run.interrupted)


def _tabulate(run: Run) -> Tables:
    contenders = {contender.name: contender for contender in run.chosen.contenders}
    return {width: tabulate(measured, contenders) for width, measured in run.tables.items() if measured}


def _tables_lines(tables: Tables) -> list[str]:
    return [line for width, table in tables.items() for line in ("", count_connections(width), *_table_lines(table))]


def _bounds_lines(verdicts: Mapping[str, Verdict]) -> list[str]:
    told = [f"{title:44} {verdict.text}" for title, verdict in verdicts.items()]
    return ["", "must hold: CPU per request, 64 connections", *told]


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
