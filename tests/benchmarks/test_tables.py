"""benchmarks/tables.py, benchmarks/record.py: what was found comes back from a record as it was."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from benchmarks.record import Result, decode_record, encode_record, read_records
from benchmarks.tables import Table, by_cpu, count_connections, decode_tables, encode_tables


def test_tables_come_back_from_a_record(make_table: Callable[..., Table]):
    tables = {1: make_table(rawbot=(4.0, 5.0)), 64: make_table(constant=1.0, granian_uvloop_cached=3.0)}
    result = Result("wecom-new", [], {"connections": encode_tables(tables)}, versions={"granian": "2"})
    record = decode_record(encode_record(result, rounds=2, seconds=1.0))
    assert decode_tables(record.tables) == tables
    assert record.benchmark == "wecom-new"
    assert record.versions["granian"] == "2"
    assert record.versions["h11"]


def test_the_cheapest_comes_first(make_table: Callable[..., Table]):
    assert [row.name for row in by_cpu(make_table(a=3.0, b=1.0, c=2.0))] == ["b", "c", "a"]


@pytest.mark.parametrize("said", [{"64": {"rawbot": {}}}, {"64": []}, {"64": {"rawbot": 1}}, {"many": {}}])
def test_other_figures_are_no_tables(said: dict):
    with pytest.raises(ValueError, match=r"record without|invalid literal"):
        decode_tables(said)


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b"no"])
def test_other_lines_are_no_records(line: bytes):
    with pytest.raises(ValueError, match="no record"):
        decode_record(line)


def test_a_record_of_something_else_has_no_tables():
    record = decode_record(encode_record(Result("crypto", [], {"100": {}}), rounds=1, seconds=1.0))
    with pytest.raises(ValueError, match="crypto has no figures by number of connections"):
        _ = record.tables


def test_all_records_of_a_file_are_read(tmp_path: Path):
    file = tmp_path / "records"
    lines = [encode_record(Result(name, [], {}), rounds=1, seconds=1.0) for name in ("one", "two")]
    file.write_bytes(b"\n".join(lines))
    assert [record.benchmark for record in read_records(file)] == ["one", "two"]
    assert orjson.loads(lines[0])["machine"]["cores"] >= 1
    with pytest.raises(ValueError, match="cannot be read"):
        read_records(tmp_path / "nothing")


def test_connections_are_counted_in_words():
    assert (count_connections(1), count_connections(64)) == ("1 connection", "64 connections")
