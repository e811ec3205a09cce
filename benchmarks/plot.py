"""Draws a record: CPU per request and requests per second, a bar per contender. Needs matplotlib, in the extra `bench`.

A bar is what a server needs with an AES object per message, as most have it; the darker part of it is the same server
with ciphers that are kept.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.record import Record
from benchmarks.tables import CPU, RATE, Row, Table, decode_tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = {
    # role: the bar, and its part with kept ciphers
    "rawbot": ("#d9480f", "#d9480f"),
    "peer": ("#a5c8ea", "#4a86c5"),
    "compiled": ("#a3d5c8", "#3a9a84"),
    "langbot": ("#b9a3d9", "#b9a3d9"),
    "limit": ("#d5d8dc", "#d5d8dc"),
}
_LEGEND = {
    "rawbot": "rawbot",
    "peer": "HTTP parsed in Python",
    "compiled": "HTTP parsed in C or Rust",
    "langbot": "LangBot's client",
    "limit": "limits: less than the work",
}
_LINE = 190
"""Characters of the small print in a line."""
_INK, _FAINT = "#22272e", "#7a828c"
_HEADS = {
    CPU: "CPU µs of the server per request: less is better",
    RATE: "requests per second on one core: more is better",
}
_SPECS = {CPU: ".0f", RATE: ",.0f"}
_ROOM = {CPU: 1.18, RATE: 1.36}
"""How much longer an axis is than its longest bar: the figures stand there."""
_TITLES = {"wecom-new": "A new WeCom message", "wecom-poll": "A poll of a WeCom stream"}


class Bar(NamedTuple):
    """A server on a loop: as it is mostly written, and with kept ciphers where it was measured so."""

    title: str
    role: str
    plain: Row
    cached: Row | None


def require() -> None:
    """Raise `ValueError` when nothing can be drawn."""
    if find_spec("matplotlib") is None:
        raise ValueError("drawing needs matplotlib: pip install 'rawbot[bench]'")


def draw(record: Record, folder: Path) -> list[Path]:
    """Write a picture per number of connections, each as SVG and PNG; return the files. Raises `ValueError`."""
    tables = decode_tables(record.tables)
    folder.mkdir(parents=True, exist_ok=True)
    return [file for connections, table in tables.items() for file in _draw(record, connections, table, folder)]


def pair_up(table: Table) -> list[Bar]:
    """Return the bars, the cheapest first: rows that differ by their ciphers alone share one."""
    bars = [
        Bar(row.title, row.role, row, table.get(f"{row.name}+cached"))
        for row in table.values()
        if not (row.name.endswith("+cached") and row.name.removesuffix("+cached") in table)
    ]
    return sorted(bars, key=lambda bar: bar.plain.cpu.median)


def _draw(record: Record, connections: int, table: Table, folder: Path) -> list[Path]:
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra that measuring does without

    bars = pair_up(table)
    height = 2.1 + 0.3 * len(bars)
    figure = Figure(figsize=(11, height), facecolor="white")
    left, right = figure.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": (3, 2), "wspace": 0.06})
    _draw_bars(left, bars, CPU)
    _draw_bars(right, bars, RATE)
    left.set_yticks(range(len(bars)), [bar.title for bar in bars])
    for label, bar in zip(left.get_yticklabels(), bars, strict=True):
        label.set_color(_INK if bar.role != "limit" else _FAINT)
        label.set_fontweight("bold" if bar.role == "rawbot" else "normal")
    _write_around(figure, record, connections, bars, height)
    stem = f"{record.benchmark}-{connections}"
    files = [folder / f"{stem}.svg", folder / f"{stem}.png"]
    for file in files:
        figure.savefig(file, dpi=160, bbox_inches="tight", pad_inches=0.25)
    return files


def _draw_bars(axes: "Axes", bars: Sequence[Bar], figure: str) -> None:
    """Draw one figure of all; the scale is that of rawbot and the peers, and what is longer is cut off."""
    spec = _SPECS[figure]
    servers = [bar for bar in bars if bar.role not in ("limit", "langbot")] or bars
    end = max(_longest(bar, figure) for bar in servers) * _ROOM[figure]
    for place, bar in enumerate(bars):
        reach = _draw_bar(axes, place, bar, figure)
        plain, cached = bar.plain.series[figure], bar.cached.series[figure] if bar.cached else None
        told = f"{plain.median:{spec}}" + (f" · {cached.median:{spec}}" if cached else "")
        at, side = reach + end * 0.01, "left"
        if reach > end:
            told, at, side = f"{told} →", end * 0.99, "right"
        weight = "bold" if bar.role == "rawbot" else "normal"
        axes.text(at, place, told, va="center", ha=side, fontsize=8.5, color=_INK, fontweight=weight)
    axes.set_xlim(0, end)
    axes.set_ylim(len(bars) - 0.4, -0.6)
    _dress(axes, _HEADS[figure])


def _draw_bar(axes: "Axes", place: int, bar: Bar, figure: str) -> float:
    """Draw the longer part below the shorter one, and the spread; return where they end."""
    light, dark = _COLOURS[bar.role]
    plain = bar.plain.series[figure]
    parts = [(plain.median, light), *([(bar.cached.series[figure].median, dark)] if bar.cached else [])]
    for length, colour in sorted(parts, reverse=True):
        axes.barh(place, length, height=0.72, color=colour)
    axes.plot([plain.low, plain.high], [place, place], color=_INK, linewidth=0.8, alpha=0.55)
    return _longest(bar, figure)


def _dress(axes: "Axes", title: str) -> None:
    axes.set_title(title, fontsize=10, color=_INK, loc="left", pad=8)
    axes.tick_params(axis="y", length=0, labelsize=9.5)
    axes.tick_params(axis="x", colors=_FAINT, labelsize=8)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.locator_params(axis="x", nbins=5)
    axes.grid(axis="x", color="#e7eaee", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#c8ced6")


def _longest(bar: Bar, figure: str) -> float:
    """Return where a bar and its spread end."""
    ends = [bar.plain.series[figure].high]
    return max(ends + ([bar.cached.series[figure].median] if bar.cached else []))


def _write_around(figure: "Figure", record: Record, connections: int, bars: Sequence[Bar], height: float) -> None:
    """Write the title, the legend, and in small print where and with what it was measured."""
    from matplotlib.patches import Patch  # noqa: PLC0415 - as above

    kept = f"{connections} kept connections" if connections > 1 else "1 kept connection"
    title = _TITLES.get(record.benchmark, record.benchmark)
    figure.subplots_adjust(left=0.24, right=0.99, top=1 - 0.8 / height, bottom=0.95 / height)
    figure.text(0.015, 1 - 0.1 / height, f"{title}, {kept}", fontsize=15, fontweight="bold", color=_INK, va="top")
    roles = [role for role in _LEGEND if any(bar.role == role for bar in bars)]
    patches = [Patch(color=_COLOURS[role][1], label=_LEGEND[role]) for role in roles]
    if any(bar.cached for bar in bars):
        patches.append(Patch(color="#b8bec6", label="light: an AES object per message · dark: kept ciphers"))
    figure.legend(
        handles=patches, loc="lower left", bbox_to_anchor=(0.008, 0.36 / height), ncols=len(patches),
        frameon=False, fontsize=8.5, handlelength=1.1, columnspacing=1.4, labelcolor=_INK,
    )  # fmt: skip
    figure.text(0.015, 0.36 / height, _small_print(record), fontsize=6.8, color=_FAINT, va="top", linespacing=1.5)


def _small_print(record: Record) -> str:
    machine = record.machine
    versions = ", ".join(f"{package} {version}" for package, version in sorted(record.versions.items()))
    placed = "server and load on a core each" if record.figures.get("pinned") else "processes not pinned"
    rounds = "medians of interleaved rounds in one run, p10 to p90 as a line"
    where = (
        f"{machine['cpu']}, {machine['system']}, {machine['python']}; {placed}; load: {record.figures.get('generator')}"
    )
    return "\n".join([f"{record.at[:10]}; {where}; {rounds}", *wrap(versions, _LINE)])
