"""What a run found, as rows of figures: the same whether it was measured just now or read from a record."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.contenders import Contender
from benchmarks.measuring import Measured, Series

CPU, RATE, P50, P99 = "cpu_us", "requests_per_second", "p50_us", "p99_us"
MEMORY, LOAD_CPU = "rss_mb", "load_cpu_us"
FIGURES = (CPU, RATE, P50, P99, MEMORY, LOAD_CPU)


@dataclass(frozen=True, slots=True)
class Row:
    """One contender, and its figures by name."""

    name: str
    title: str
    role: str
    peer: str
    loop: str
    ciphers: str
    series: Mapping[str, Series]

    @property
    def cpu(self) -> Series:
        """CPU µs of the server per request."""
        return self.series[CPU]


Table = dict[str, Row]
"""Rows by name."""
Tables = dict[int, Table]
"""By number of connections."""


def tabulate(measured: Measured, contenders: Mapping[str, Contender]) -> Table:
    """Put what was measured beside who it was."""
    return {name: _row(contenders[name], series) for name, series in measured.items()}


def by_cpu(table: Table) -> list[Row]:
    """Return the rows, the cheapest first."""
    return sorted(table.values(), key=lambda row: row.cpu.median)


def count_connections(count: int) -> str:
    """Return so many connections in words."""
    return f"{count} connection{'s' if count > 1 else ''}"


def encode_tables(tables: Tables) -> dict[str, object]:
    """Return what goes into a record."""
    return {
        str(connections): {row.name: _encode_row(row) for row in table.values()}
        for connections, table in tables.items()
    }


def decode_tables(said: Mapping[str, Mapping[str, Mapping[str, object]]]) -> Tables:
    """Return what a record holds. Raises `ValueError` when it is no such record."""
    try:
        return {
            int(connections): {name: _decode_row(name, row) for name, row in table.items()}
            for connections, table in said.items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a record without {error}") from None


def _row(contender: Contender, series: Mapping[str, Series]) -> Row:
    peer = contender.peer
    return Row(contender.name, contender.title, peer.role, peer.name, contender.loop, contender.ciphers, series)


def _encode_row(row: Row) -> dict[str, object]:
    who = {"title": row.title, "role": row.role, "peer": row.peer, "loop": row.loop, "ciphers": row.ciphers}
    return who | {name: series.to_json() for name, series in row.series.items()}


def _decode_row(name: str, said: Mapping[str, object]) -> Row:
    title, role, peer, loop, ciphers = (str(said[key]) for key in ("title", "role", "peer", "loop", "ciphers"))
    return Row(name, title, role, peer, loop, ciphers, {figure: _decode_series(said[figure]) for figure in FIGURES})


def _decode_series(said: object) -> Series:
    if not isinstance(said, dict):
        raise TypeError("a series")
    return Series(tuple(float(value) for value in said["rounds"]))
