"""benchmarks/report.py: who was measured, who was not and why, what is missed, and under which conditions."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from benchmarks.contenders import Chosen, Contender, Interpreter
from benchmarks.generators import HINT
from benchmarks.measuring import Measured
from benchmarks.peers import ONEBOT_PEERS, PEERS
from benchmarks.race import Run
from benchmarks.record import Result, decode_record, encode_record
from benchmarks.report import report, report_stages
from benchmarks.tables import Row, decode_tables

PYTHON = Interpreter("/python", "3.13.0", dict.fromkeys(("aiohttp", "h11", "orjson", "pycryptodome"), "1.0"))
CIPHERS = {"rawbot": "cached", "constant": "", "aiohttp": "fresh"}


@pytest.fixture
def make_run(make_row: Callable[..., Row]) -> Callable[..., Run]:
    def make(**cpu: tuple[float, ...]) -> Run:
        contenders = [Contender(name, PEERS[name], "asyncio", CIPHERS[name], PYTHON) for name in cpu]
        measured: Measured = {name: dict(make_row(name, *times).series) for name, times in cpu.items()}
        chosen = Chosen(contenders, ["granian: granian not installed: pip install 'rawbot[bench]'"])
        return Run("wecom-new", "wrk 4", pinned=True, chosen=chosen, tables={64: measured})

    return make


def test_the_table_is_sorted_by_cpu_and_says_how_often_rawbots_cost_each_has(make_run: Callable[..., Run]):
    result = report(make_run(aiohttp=(120.0, 140.0), rawbot=(40.0, 40.0), constant=(8.0, 8.0)), rounds=2)
    rows = [line.split() for line in result.lines]
    names = [row[0] for row in rows if row and row[0] in CIPHERS]
    assert names[:5] == ["constant", "rawbot", "aiohttp", "constant", "aiohttp"]
    assert ["aiohttp", "130.0", "(122.0–138.0)", "3.25", "(3.05–3.45)"] in [row[:5] for row in rows]
    assert ["aiohttp", "3.00", "3.50"] in rows
    assert "wrk 4; servers on one core, load on another; median (p10–p90) of 2 interleaved rounds" in result.lines
    assert result.faults == ()
    assert result.versions["aiohttp@3.13.0"] == "1.0"


def test_who_is_skipped_and_who_fails_is_told_and_a_failure_is_a_fault(make_run: Callable[..., Run]):
    run = make_run(rawbot=(40.0,), constant=(8.0,))
    run.failures["aiohttp"] = "it has ended with status 1"
    run.interrupted = True
    result = report(run, rounds=1)
    assert "aiohttp: it has ended with status 1" in result.lines
    assert "granian: granian not installed: pip install 'rawbot[bench]'" in result.lines
    assert result.faults == ("aiohttp cannot be measured",)
    assert result.interrupted
    assert "cut short" in result.lines[0]


def test_a_missed_bound_is_a_fault(make_run: Callable[..., Run]):
    assert report(make_run(rawbot=(80.0,), constant=(8.0,)), rounds=1).faults == (
        "missed: rawbot / the constant answer",
    )


def test_a_record_is_compared_with_and_other_conditions_are_told(make_run: Callable[..., Run]):
    then = report(make_run(rawbot=(80.0,), constant=(8.0,)), rounds=1)
    record = decode_record(encode_record(then, rounds=1, seconds=1.0))
    assert decode_tables(record.tables)[64]["rawbot"].cpu.median == 80.0
    run = make_run(rawbot=(40.0,), constant=(8.0,))
    run.generator = "built-in generator"
    lines = report(run, rounds=1, earlier=record).lines
    assert "measured differently: wrk 4, now built-in generator" in lines
    assert any(line.split() == ["rawbot", "80.0", "40.0", "×", "0.50", "less"] for line in lines)


def test_a_record_that_holds_no_tables_is_told(make_run: Callable[..., Run]):
    record = decode_record(encode_record(Result("wecom-new", [], {}), rounds=1, seconds=1.0))
    lines = report(make_run(rawbot=(40.0,), constant=(8.0,)), rounds=1, earlier=record).lines
    assert any(line.startswith("cannot be compared") for line in lines)


def test_nothing_measured_is_nothing_told(make_run: Callable[..., Run]):
    run = make_run()
    run.tables = {64: {}}
    result: Result = report(run, rounds=1)
    assert result.figures["connections"] == {}


@pytest.fixture
def make_stages(make_row: Callable[..., Row]) -> Callable[..., list[Run]]:
    """Return what makes runs of OneBot, at 64 connections, of CPU times by contender and scenario."""

    def make(**cpu: dict[str, float]) -> list[Run]:
        names = dict.fromkeys(name for times in cpu.values() for name in times)
        python = Interpreter("/python", "3.13.0", dict.fromkeys(ONEBOT_PEERS["pylibob"].packages, "1.0"))
        packages = dict.fromkeys((*python.packages, "aiohttp", "h11", "orjson", "pycryptodome"), "1.0")
        chosen = Chosen(
            [Contender(name, ONEBOT_PEERS[name], "asyncio", "", replace(python, packages=packages)) for name in names],
            [],
        )
        failures: dict[str, str] = {}
        runs = []
        for scenario, times in cpu.items():
            measured: Measured = {name: dict(make_row(name, time).series) for name, time in times.items()}
            tables = {64: measured}
            title = f"built-in generator{HINT}"
            runs.append(Run(scenario.replace("_", "-"), title, True, chosen, tables, failures))
        return runs

    return make


def test_the_stages_of_a_race_are_told_one_after_another_and_judged_each(make_stages: Callable[..., list[Run]]):
    runs = make_stages(
        onebot_http={"rawbot": 20.0, "pylibob": 76.0, "pylibob-run": 120.0, "aiohttp": 47.0},
        onebot_ws={"rawbot": 20.0, "pylibob": 57.0, "aiohttp": 18.0},
    )
    result = report_stages("onebot", runs, rounds=1)
    assert [line for line in result.lines if line.startswith("==")] == ["== onebot-http", "== onebot-ws"]
    assert result.lines[0].startswith("built-in generator; servers on one core")
    assert result.faults == ("missed: onebot-ws, rawbot / pylibob",)
    told = [line.split() for line in result.lines if line.startswith("onebot-")]
    assert [line[:9] for line in told] == [
        ["onebot-http,", "rawbot", "/", "pylibob", "at", "most", "0.333", "met", "0.26"],
        ["onebot-ws,", "rawbot", "/", "pylibob", "at", "most", "0.333", "missed", "0.35"],
    ]
    assert "of pylibob; 0.17 of pylibob-run" in " ".join(told[0])


def test_a_record_of_stages_has_a_table_for_each(make_stages: Callable[..., list[Run]]):
    runs = make_stages(onebot_http={"rawbot": 20.0, "aiohttp": 47.0}, onebot_ws={"rawbot": 20.0})
    record = decode_record(encode_record(report_stages("onebot", runs, rounds=1), rounds=1, seconds=1.0))
    scenarios = {name: decode_tables(tables)[64] for name, tables in record.figures["scenarios"].items()}
    assert {name: set(table) for name, table in scenarios.items()} == {
        "onebot-http": {"rawbot", "aiohttp"},
        "onebot-ws": {"rawbot"},
    }
    assert scenarios["onebot-http"]["aiohttp"].cpu.median == 47.0
    assert record.figures["pythons"] == {"rawbot": "3.13.0", "aiohttp": "3.13.0"}
