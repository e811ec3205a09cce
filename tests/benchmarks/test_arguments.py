"""benchmarks/arguments.py: what is asked for is understood, and what cannot be had is refused before anything runs."""

from pathlib import Path

import pytest

from benchmarks import arguments, plot
from benchmarks.arguments import Options, parse, parse_plot
from benchmarks.peers import Platform
from benchmarks.record import Result, encode_record

SUMMARIES = {"crypto": "ciphers", "wecom-new": "messages", "onebot": "actions"}


def names(options: Options, platform: Platform) -> set[str]:
    return {contender.name for contender in options.chosen[platform].contenders}


def test_what_is_left_out_has_its_default():
    options = parse([], SUMMARIES)
    assert options.benchmark is None
    assert options.connections is None
    assert options.earlier == {}
    assert {"rawbot", "constant"} <= names(options, "wecom")
    assert "rawbot" in names(options, "onebot")


def test_what_is_asked_for_is_understood(tmp_path: Path):
    file = tmp_path / "records"
    lines = [encode_record(Result("wecom-new", [], {"number": number}), rounds=1, seconds=1.0) for number in (1, 2)]
    file.write_bytes(b"".join(lines))
    told = ["wecom-new", "--connections", "64,8,64", "--peers", "h11+asyncio, constant", "--compare", str(file)]
    options = parse([*told, "--generator", "builtin", "--rounds", "3"], SUMMARIES)
    assert (options.benchmark, options.connections, options.rounds) == ("wecom-new", (64, 8), 3)
    assert options.earlier["wecom-new"].figures == {"number": 2}
    assert {"rawbot", "constant", "h11"} <= names(options, "wecom")
    assert options.generator == "builtin"


def test_a_benchmark_has_the_peers_of_its_platform():
    assert parse(["onebot", "--peers", "aiohttp"], SUMMARIES).chosen.keys() == {"onebot"}
    assert parse(["crypto"], SUMMARIES).chosen.keys() == {"wecom"}


def test_a_name_that_one_platform_knows_is_right_when_all_are_run():
    options = parse(["--peers", "constant+uvloop,rawbot+uvloop"], SUMMARIES)
    assert "constant+uvloop" in names(options, "wecom")
    assert names(options, "onebot") <= {"rawbot", "rawbot+uvloop"}


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (["--rounds", "0"], "--rounds must be at least 1"),
        (["--seconds", "0"], "--seconds must be above 0"),
        (["--seconds", "nan"], "--seconds must be above 0"),
        (["--seconds", "inf"], "--seconds must be above 0"),
        (["unknown"], "invalid choice"),
        (["--connections", "0"], "numbers from 1 to 1000"),
        (["--connections", "1,,2"], "numbers from 1 to 1000"),
        (["--connections", "1001"], "numbers from 1 to 1000"),
        (["--peers", "nobody"], "there is no peer 'nobody'"),
        (["onebot", "--peers", "granian"], "there are rawbot, pylibob"),
        (["wecom-new", "--peers", "pylibob"], "there is no peer 'pylibob'"),
        (["onebot", "--generator", "wrk"], "the built-in generator alone"),
        (["--python", "/no/such/python"], "no Python that runs"),
        (["--interpreter", "nobody=/usr/bin/python3"], "NAME=EXE"),
        (["--interpreter", "aiohttp"], "NAME=EXE"),
        (["--compare", "/no/such/file"], "cannot be read"),
        (["--generator", "other"], "invalid choice"),
    ],
)
def test_what_cannot_be_had_is_refused(told: list[str], said: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        parse(told, SUMMARIES)
    assert said in capsys.readouterr().err


def test_wrk_and_matplotlib_are_named_when_they_are_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    monkeypatch.setattr(arguments.shutil, "which", lambda _: None)
    monkeypatch.setattr(plot, "find_spec", lambda _: None)
    for told in (["--generator", "wrk"], ["--plot", str(tmp_path)]):
        with pytest.raises(SystemExit):
            parse(told, SUMMARIES)
    said = capsys.readouterr().err
    assert "apt-get install wrk" in said
    assert "pip install 'rawbot[bench]'" in said


def test_the_help_tells_of_all_benchmarks(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        parse(["--help"], SUMMARIES)
    said = capsys.readouterr().out
    assert "crypto       ciphers" in said
    assert "examples:" in said


def test_a_plot_has_a_source_and_a_place():
    assert parse_plot(["records", "--to", "there"]) == (Path("records"), Path("there"))
