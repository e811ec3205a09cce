"""`python -m benchmarks` as a whole: short runs that tell, write and judge. The figures are no test's business."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep

import orjson
import pytest

from benchmarks import __main__
from benchmarks.__main__ import INTERRUPTED, main
from benchmarks.contenders import ROOT
from benchmarks.measuring import Failed
from benchmarks.record import Result, read_records
from benchmarks.servers import _sessions
from benchmarks.tables import decode_tables

BRIEF = ["--peers", "constant+asyncio", "--generator", "builtin", "--connections", "2", "--rounds", "2"]
SHORT = [*BRIEF, "--seconds", "0.05"]


@pytest.mark.parametrize("name", ["crypto", "callback"])
def test_each_benchmark_prints_its_figures_and_appends_one_json_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "figures.json"
    file.write_bytes(b"{}\n")
    assert main([name, "--rounds", "2", "--seconds", "0.02", "--json", str(file)]) in (0, 1)
    assert f"\n{name}: \n" in capsys.readouterr().out
    _, line = file.read_bytes().splitlines()
    record = orjson.loads(line)
    assert record["benchmark"] == name
    assert record["rounds"] == 2
    assert record["machine"]["cpu"]
    assert record["machine"]["cores"] >= 1
    assert record["versions"].keys() == {"rawbot", "h11", "orjson", "pycryptodome"}
    assert all(median > 0 for median in medians(record["figures"]))


def medians(figures: dict) -> list[float]:
    """Find every median in a record's figures."""
    inner = [value for value in figures.values() if isinstance(value, dict)]
    own = [figures["median"]] if "median" in figures else []
    assert own or inner
    return own + [median for value in inner for median in medians(value)]


def test_servers_are_measured_over_sockets_and_compared_with_a_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "records"
    assert main(["wecom-new", *SHORT, "--json", str(file)]) == 0
    assert main(["wecom-poll", *SHORT, "--json", str(file)]) == 0
    new, poll = read_records(file)
    assert (new.benchmark, poll.benchmark) == ("wecom-new", "wecom-poll")
    for record in (new, poll):
        table = decode_tables(record.tables)[2]
        assert table.keys() == {"rawbot", "constant"}
        assert all(min(series.rounds) > 0 for row in table.values() for series in row.series.values())
        assert table["rawbot"].cpu.median > table["constant"].cpu.median
    said = capsys.readouterr().out
    assert "rawbot / aiohttp" in said
    assert "2 connections" in said
    assert "built-in generator" in said


def test_a_file_of_records_without_servers_cannot_be_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "records"
    main(["callback", "--rounds", "1", "--seconds", "0.02", "--json", str(file)])
    pytest.importorskip("matplotlib")
    assert main(["plot", str(file), "--to", str(tmp_path)]) == 1
    assert "nothing to draw" in capsys.readouterr().out
    assert main(["plot", str(tmp_path / "none")]) == 1
    assert "cannot be read" in capsys.readouterr().err


def put_in(monkeypatch: pytest.MonkeyPatch, result: Result | BaseException) -> None:
    """Let `crypto` and what follows it come to this."""

    def run(*_: object) -> Result:
        if isinstance(result, BaseException):
            raise result
        return result

    made = {name: replace(each, run=run, judge=lambda told: told.faults) for name, each in __main__.BENCHMARKS.items()}
    monkeypatch.setattr(__main__, "BENCHMARKS", {name: made[name] for name in ("crypto", "callback")})


@pytest.mark.parametrize(
    ("result", "status", "said"),
    [
        (Result("x", ["fine"], {}), 0, "fine"),
        (Result("x", ["fine"], {}, ("too slow",)), 1, "✘ too slow"),
        (Result("x", ["half"], {}, ("too slow",), interrupted=True), INTERRUPTED, "half"),
        (Failed("no generator"), 1, "cannot be measured: no generator"),
        (KeyboardInterrupt(), INTERRUPTED, "CPython"),
    ],
)
def test_the_status_tells_how_it_went(
    result: Result | BaseException, status: int, said: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    put_in(monkeypatch, result)
    assert main(["crypto"]) == status
    assert said in capsys.readouterr().out


def test_an_interrupted_run_goes_no_further(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    put_in(monkeypatch, Result("x", ["half"], {}, interrupted=True))
    assert main([]) == INTERRUPTED
    told = capsys.readouterr()
    assert told.out.count("half") == 1
    assert "cut short" in told.err


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_cut_short_leaves_no_process_and_tells_what_it_has(sign: signal.Signals):
    command = [sys.executable, "-m", "benchmarks", "wecom-new", *BRIEF, "--rounds", "1000", "--seconds", "300"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        until = monotonic() + 20
        while len(children_of(process.pid)) < 3 and monotonic() < until:
            sleep(0.05)
        sleep(1)
        children = children_of(process.pid)
        process.send_signal(sign)
        said, _ = process.communicate(timeout=20)
    assert process.returncode == INTERRUPTED
    assert "wecom-new: \n" in said
    assert len(children) >= 3, "two servers and the generator"
    until = monotonic() + 2  # multiprocessing's own helper ends a moment after the process that it helps
    while (left := children & {pid for pid, _ in _sessions()}) and monotonic() < until:
        sleep(0.01)
    assert not left


def children_of(pid: int) -> set[int]:
    files = Path(f"/proc/{pid}/task").glob("*/children")
    return {int(child) for file in files for child in file.read_text(encoding="ascii").split()}
