"""benchmarks/plot.py: which bars there are, and that they are drawn."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import plot
from benchmarks.plot import draw, pair_up
from benchmarks.record import Record, Result, decode_record, encode_record
from benchmarks.tables import Table, encode_tables

Make = Callable[..., Table]


def record_of(tables: dict[int, Table]) -> Record:
    figures: dict[str, object] = {"connections": encode_tables(tables), "generator": "wrk 4", "pinned": True}
    return decode_record(encode_record(Result("wecom-new", [], figures), rounds=1, seconds=1.0))


def test_rows_that_differ_by_their_ciphers_share_a_bar(make_table: Make):
    bars = pair_up(make_table(aiohttp=130.0, rawbot=40.0, aiohttp_cached=110.0, constant=8.0, quart_cached=500.0))
    assert [bar.plain.name for bar in bars] == ["constant", "rawbot", "aiohttp", "quart+cached"]
    assert [bar.cached.name if bar.cached else None for bar in bars] == [None, None, "aiohttp+cached", None]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_picture_is_drawn_for_each_number_of_connections(make_table: Make, tmp_path: Path):
    pytest.importorskip("matplotlib")
    table = make_table(rawbot=(40.0, 41.0), aiohttp=(130.0, 131.0), aiohttp_cached=(110.0, 111.0), constant=(8.0, 8.1))
    drawn = draw(record_of({1: make_table(constant=8.0), 64: table}), tmp_path / "new")
    assert [file.name for file in drawn] == [
        "wecom-new-1.svg", "wecom-new-1.png", "wecom-new-64.svg", "wecom-new-64.png",
    ]  # fmt: skip
    assert drawn[2].read_bytes().startswith(b"<?xml")
    assert drawn[3].read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(plot, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"rawbot\[bench\]"):
        plot.require()
