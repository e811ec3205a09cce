"""benchmarks/onebot.py and its peers: each answers rightly on all ways, and what is found is told by scenario."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.actions import ECHO_TEXT, GET_STATUS, Actions, check_frames, check_responses, make_action
from benchmarks.contenders import Interpreters, choose_for
from benchmarks.generators.builtin import ask
from benchmarks.generators.load import Way
from benchmarks.measuring import Failed
from benchmarks.peers.__main__ import main as serve_peer
from benchmarks.record import read_records
from benchmarks.servers import Server, serving
from benchmarks.tables import decode_tables

SCENARIOS = ("onebot-http", "onebot-http-new", "onebot-ws")
OF_STATUS = ("onebot-http-status", "onebot-ws-status")


@pytest.fixture(scope="module", params=["rawbot", "aiohttp"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    pytest.importorskip(request.param)
    (contender,) = (
        each
        for each in choose_for(["onebot"], [f"{request.param}+asyncio"], Interpreters())["onebot"].contenders
        if each.name == request.param
    )
    with serving(contender, None) as started:
        started.wait_until_listening()
        yield started


@pytest.mark.parametrize("way", ["kept", "new", "websocket"])
@pytest.mark.parametrize("action", [ECHO_TEXT, GET_STATUS])
def test_a_peer_answers_rightly_on_all_ways(server: Server, action: str, way: Way):
    pool = Actions(action, way)
    asked = pool.take(server.port, 50, "peer")
    ask(server.port, asked, 4, way=pool.way, check=pool.check)


@pytest.mark.parametrize("way", ["kept", "websocket"])
@pytest.mark.parametrize(
    ("name", "params", "retcode"), [("other", {}, 10002), (ECHO_TEXT, {}, 10003), (ECHO_TEXT, [], 10001)]
)
def test_a_peer_refuses_what_it_must(server: Server, name: str, params: object, retcode: int, way: Way):
    with pytest.raises(Failed, match="status is 'failed'"):
        ask(
            server.port,
            [make_action(name, params, None, echo="e", way=way)],
            way=way,
            check=check_frames if way == "websocket" else check_responses,
        )
    (answer,) = ask(server.port, [make_action(name, params, None, echo="e", way=way)], way=way)
    assert b'"retcode":%d,' % retcode in answer
    assert b'"echo":"e"' in answer


def test_what_is_found_is_told_by_scenario(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("aiohttp")
    file = tmp_path / "records"
    short = ["--connections", "1,2", "--rounds", "2", "--seconds", "0.05", "--json", str(file)]
    main(["onebot", "--peers", "aiohttp+asyncio", *short])
    (record,) = read_records(file)
    scenarios = {name: decode_tables(tables) for name, tables in record.figures["scenarios"].items()}
    assert {name: tuple(tables) for name, tables in scenarios.items()} == {
        **dict.fromkeys(SCENARIOS, (1, 2)),
        **dict.fromkeys(OF_STATUS, (2,)),
    }
    rows = [table["aiohttp"] for tables in scenarios.values() for table in tables.values()]
    assert all(min(series.rounds) > 0 for row in rows for series in row.series.values())
    said = capsys.readouterr().out
    assert all(f"== {name}\n" in said for name in SCENARIOS + OF_STATUS)
    assert "onebot-ws, rawbot / pylibob" in said
    assert "--generator" not in said


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (["nobody", "80"], "there is no nobody for wecom; for wecom: rawbot,"),
        (["granian", "80", "--platform", "onebot"], "there is no granian for onebot"),
        (["aiohttp", "80", "--platform", "onebot", "--ciphers", "fresh"], "no fresh ciphers"),
        (["pylibob-run", "80", "--platform", "onebot", "--loop", "uvloop"], "pylibob-run runs on asyncio"),
        (["rawbot", "0", "--platform", "onebot"], "a number from 1 to 65535"),
    ],
)
def test_a_peer_that_there_is_not_is_refused(told: list[str], said: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        serve_peer(told)
    assert said in capsys.readouterr().err
