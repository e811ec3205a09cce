"""benchmarks/vk.py and its peers: each takes events rightly on both ways, and what is found is told by scenario."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.contenders import Interpreters, choose_for
from benchmarks.deliveries import Deliveries, Delivery, ask_handled, make_delivery
from benchmarks.generators.builtin import ask
from benchmarks.generators.load import Way
from benchmarks.measuring import Failed
from benchmarks.peers.community import SECRET
from benchmarks.record import read_records
from benchmarks.servers import Server, serving
from benchmarks.tables import decode_tables

SCENARIOS = ("vk-callback", "vk-callback-new")
SKILLED = ("rawbot", *(("vkflow", "vkflow-quiet") if find_spec("vkflow") else ()))
"""Those who have a bot to tell; vkflow mostly has an interpreter of its own."""


def start(name: str) -> Iterator[Server]:
    chosen = choose_for(["vk"], [f"{name}+asyncio"], Interpreters())["vk"]
    (contender,) = (each for each in chosen.contenders if each.name == name)
    with serving(contender, None) as started:
        started.wait_until_listening()
        yield started


@pytest.fixture(scope="module", params=[*SKILLED, "aiohttp"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    yield from start(request.param)


@pytest.mark.parametrize("way", ["kept", "new"])
def test_a_peer_says_ok_and_handles_each_event_once_on_both_ways(server: Server, way: Way):
    pool = Deliveries(way)
    before = ask_handled(server.port)
    asked = pool.take(server.port, 50, "peer")
    ask(server.port, asked, 4, way=pool.way, check=pool.check)
    pool.conclude(server.port)
    assert ask_handled(server.port) == before + 150


def test_a_peer_refuses_a_wrong_secret_and_handles_nothing(server: Server):
    before = ask_handled(server.port)
    wrong = make_delivery(0).request.replace(SECRET.encode(), SECRET.upper().encode())
    with pytest.raises(Failed, match=r"'HTTP/1\.1 403 Forbidden'"):
        ask(server.port, [Delivery(wrong)])
    assert ask_handled(server.port) == before


def test_rawbot_handles_an_event_once_however_often_it_comes():
    for server in start("rawbot"):
        ask(server.port, [make_delivery(0)] * 5, 1)
        assert ask_handled(server.port) == 1


def test_what_is_found_is_told_by_scenario(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "records"
    short = ["--connections", "1,2", "--rounds", "2", "--seconds", "0.05", "--json", str(file)]
    main(["vk", "--peers", "aiohttp+asyncio", *short])
    (record,) = read_records(file)
    scenarios = {name: decode_tables(tables) for name, tables in record.figures["scenarios"].items()}
    assert {name: tuple(tables) for name, tables in scenarios.items()} == dict.fromkeys(SCENARIOS, (1, 2))
    tables = [table for scenario in scenarios.values() for table in scenario.values()]
    assert all(table.keys() == {"rawbot", "aiohttp"} for table in tables)
    assert all(min(series.rounds) > 0 for table in tables for row in table.values() for series in row.series.values())
    memory = record.figures["memory"]
    assert memory.keys() == {"rawbot", "aiohttp"}
    assert all(held["before"] > 1e6 and held["after"] > 1e6 and held["requests"] > 1000 for held in memory.values())
    said = capsys.readouterr().out
    assert all(f"== {name}\n" in said for name in SCENARIOS)
    assert "vk-callback, rawbot / vkflow" in said
    assert "resident MB" in said
