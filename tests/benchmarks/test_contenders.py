"""benchmarks/contenders.py: who takes part, under which name, and who is skipped for what."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.contenders import Chosen, Interpreters, choose, choose_for
from benchmarks.peers import Peer

SERVE = "nowhere:serve"
RAWBOT = Peer("rawbot", "rawbot", (), ("asyncio",), ("cached",), "rawbot", SERVE)
CONSTANT = Peer("constant", "constant answer", (), ("asyncio",), (), "limit", SERVE)
FRAME = Peer("frame", "Frame", ("h11",), ("asyncio",), ("fresh", "cached"), "peer", SERVE)
ABSENT = Peer("absent", "Absent", ("no-such-package", "h11"), ("asyncio",), ("fresh",), "compiled", SERVE)
PEERS = {peer.name: peer for peer in (RAWBOT, CONSTANT, FRAME, ABSENT)}


def choose_from_ours(wanted: list[str] | None) -> Chosen:
    return choose(wanted, Interpreters(), PEERS)


def names(chosen: Chosen) -> list[str]:
    return [contender.name for contender in chosen.contenders]


def test_all_take_part_when_none_is_named():
    assert names(choose_from_ours(None)) == ["rawbot", "constant", "frame", "frame+cached"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (["frame"], ["frame", "frame+cached"]),
        (["frame+cached"], ["frame+cached"]),
        (["frame+fresh"], ["frame"]),
        (["frame+asyncio+fresh"], ["frame"]),
        ([], []),
    ],
)
def test_a_name_is_all_of_a_peer_or_a_part_and_those_who_are_compared_with_are_always_there(
    wanted: list[str], found: list[str]
):
    assert names(choose_from_ours(wanted)) == ["rawbot", "constant", *found]


def test_who_is_not_installed_is_skipped_by_name_with_what_to_install():
    chosen = choose_from_ours(["absent"])
    assert chosen.skipped == ["absent: no-such-package not installed: pip install 'rawbot[bench]'"]
    assert choose_from_ours(["frame"]).skipped == []


@pytest.mark.parametrize(
    ("wanted", "said"), [("frme", "no peer 'frme'"), ("frame+uvloop", "frame has no 'uvloop'"), ("", "no peer ''")]
)
def test_a_name_that_is_none_is_refused(wanted: str, said: str):
    with pytest.raises(ValueError, match=said):
        choose_from_ours([wanted])


def test_rawbot_runs_once_more_by_another_python_and_says_which():
    contender = choose([], Interpreters([sys.executable]), PEERS).contenders[-1]
    major, minor, *_ = sys.version_info
    assert contender.name == f"rawbot@{major}.{minor}"
    assert contender.title == f"rawbot, Python {major}.{minor}"


def test_a_peer_runs_by_the_python_that_is_named_for_it():
    chosen = choose(["frame+fresh"], Interpreters(theirs={"frame": sys.executable}), PEERS)
    assert [contender.interpreter.path for contender in chosen.contenders] == [sys.executable] * 3


def test_the_python_that_is_named_for_a_peer_runs_all_kinds_of_it(tmp_path: Path):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="ascii")
    python.chmod(0o755)
    peers = PEERS | {f"frame{kind}": replace(FRAME, name=f"frame{kind}") for kind in ("-run", "work")}
    names = ["frame+fresh", "frame-run+fresh", "framework+fresh"]
    chosen = choose(names, Interpreters(theirs={"frame": str(python)}), peers)
    paths = {contender.name: contender.interpreter.path for contender in chosen.contenders}
    assert paths["frame"] == paths["frame-run"] == str(python)
    assert paths["framework"] == sys.executable


def test_each_platform_has_contenders_of_its_own():
    chosen = choose_for(["wecom", "onebot"], ["constant+asyncio"], Interpreters())
    assert {platform: names(each) for platform, each in chosen.items()} == {
        "wecom": ["rawbot", "constant"],
        "onebot": ["rawbot"],
    }
    assert chosen["onebot"].contenders[0].command(80)[1:] == [
        "-m", "benchmarks.peers", "rawbot", "80", "--loop", "asyncio", "--platform", "onebot",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="there is no peer 'constant'; there are rawbot, pylibob"):
        choose_for(["onebot"], ["constant"], Interpreters())


def test_pylibob_is_skipped_by_name_where_it_is_not_installed():
    chosen = choose_for(["onebot"], ["pylibob+asyncio", "pylibob-run"], Interpreters())["onebot"]
    missing = [line for line in chosen.skipped if line.startswith("pylibob")]
    assert [line.partition(":")[0] for line in missing] == ["pylibob", "pylibob-run"]
    assert all(line.endswith("pip install pylibob starlette==0.39.2") for line in missing)


@pytest.mark.parametrize("path", ["/no/such/python", "/bin/false"])
def test_what_is_no_python_is_refused(path: str):
    with pytest.raises(ValueError, match="no Python that runs"):
        choose(None, Interpreters([path]), PEERS)


def test_a_contender_is_started_with_its_loop_and_its_ciphers():
    rawbot, constant, *_, cached = choose_from_ours(["frame"]).contenders
    assert cached.command(80)[1:] == [
        "-m", "benchmarks.peers", "frame", "80", "--loop", "asyncio", "--ciphers", "cached",
    ]  # fmt: skip
    assert "--ciphers" not in constant.command(80)
    assert cached.title == "Frame, cached ciphers"
    assert "h11" in cached.versions
    assert rawbot.title == "rawbot"
