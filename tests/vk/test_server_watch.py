"""rawbot/vk/server_watch.py: a server that VK has given up is confirmed anew, and rarely."""

from math import inf, nan

import pytest
from vk_platform import NOW, FakeApi, failed
from vk_samples import GROUP
from vk_servers import URL, Servers, server

from rawbot.errors import ConfigError
from rawbot.vk.server_watch import FIRST_LOOK, LOOK_EVERY, MISSING, RENEW_EVERY, ServerWatch

GET, EDIT = "groups.getCallbackServers", "groups.editCallbackServer"


class Bench:
    def __init__(self, *servers: dict[str, object]) -> None:
        self.servers = Servers(*servers)
        self.api = FakeApi()
        for method in (GET, EDIT):
            self.api.replies[method] = lambda params, method=method: self.servers.call(method, **params).outcome
        self.watch = ServerWatch({GROUP: self.api}, url=URL)
        self.now = NOW
        self.watch.start(self.now)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.watch.tick(self.now)

    @property
    def figures(self) -> dict[str, float]:
        return {figure.name: figure.value for figure in self.watch.figures()}


def test_it_looks_after_the_start_and_then_now_and_then():
    bench = Bench(server())
    bench.wait(0)
    assert bench.watch.deadline == NOW + FIRST_LOOK
    bench.wait(FIRST_LOOK - 1)
    assert bench.api.calls == []
    bench.wait(1)
    bench.wait(LOOK_EVERY - 1)
    assert bench.api.methods == [GET]
    bench.wait(1)
    assert bench.api.methods == [GET, GET]
    assert (bench.watch.statuses, bench.figures["vk_server_ok"]) == ({GROUP: "ok"}, 1)


def test_a_server_that_vk_has_given_up_is_confirmed_anew_as_it_is():
    bench = Bench(server(1, url="https://other.example/", status="failed"), server(2, status="failed"))
    bench.wait(FIRST_LOOK)
    assert bench.servers.edits == [server(2)]
    assert bench.figures["vk_server_renewals"] == 1
    assert bench.figures["vk_server_ok"] == 0
    bench.wait(LOOK_EVERY)
    assert bench.figures["vk_server_ok"] == 1


def test_where_that_is_in_vain_it_is_done_again_rarely():
    bench = Bench(server(status="failed"))
    bench.servers.status_after = "failed"
    bench.wait(FIRST_LOOK)
    while bench.now < NOW + FIRST_LOOK + RENEW_EVERY - LOOK_EVERY:
        bench.wait(LOOK_EVERY)
    assert len(bench.servers.edits) == 1
    bench.wait(LOOK_EVERY)
    assert len(bench.servers.edits) == 2


@pytest.mark.parametrize("status", ["ok", "wait", "unconfigured"])
def test_one_that_vk_has_not_given_up_is_left_alone(status: str):
    bench = Bench(server(status=status))
    bench.wait(FIRST_LOOK)
    assert bench.api.methods == [GET]


def test_one_that_is_not_there_is_told_and_not_made():
    bench = Bench(server(url="https://other.example/"))
    bench.wait(FIRST_LOOK)
    assert bench.watch.statuses == {GROUP: MISSING}
    assert bench.api.methods == [GET]


@pytest.mark.parametrize("told", [failed(15), {}, None])
def test_a_call_that_comes_to_nothing_is_counted_and_made_again_in_time(told: object):
    bench = Bench(server(status="failed"))
    bench.api.faults[GET] = [told] if told is not None else []
    if told is None:
        bench.api.replies[GET] = lambda _: None
    bench.wait(FIRST_LOOK)
    assert bench.figures["vk_server_watch_failures"] == 1
    assert bench.watch.statuses == {}
    bench.wait(1)
    assert len(bench.api.calls) == 1


def test_a_renewal_that_fails_is_counted():
    bench = Bench(server(status="failed"))
    bench.api.faults[EDIT] = [failed(29)]
    bench.wait(FIRST_LOOK)
    assert (bench.watch.failed, bench.watch.renewed) == (1, 1)


def test_who_goes_down_looks_no_more_and_confirms_nothing():
    bench = Bench(server(status="failed"))
    bench.api.held = True
    bench.wait(FIRST_LOOK)
    bench.watch.drain(bench.now)
    bench.api.answer()
    bench.wait(10 * LOOK_EVERY)
    assert bench.api.methods == [GET]
    assert bench.watch.deadline == inf
    bench.watch.start(bench.now)
    bench.wait(FIRST_LOOK)
    assert bench.api.methods == [GET, GET]


def test_a_clock_that_is_set_back_does_not_keep_it_from_looking():
    bench = Bench(server())
    bench.wait(-100_000)
    bench.wait(LOOK_EVERY)
    assert bench.api.methods == [GET]


def test_it_tells_when_its_client_wants_to_be_called():
    bench = Bench(server())
    bench.api.deadline = NOW + 1
    bench.wait(0)
    assert bench.watch.deadline == NOW + 1
    assert bench.watch.sources == (bench.api,)


def test_its_client_can_be_awaited_by_others_too():
    bench = Bench(server())
    bench.watch.promise = object
    bench.watch.start(NOW)
    assert bench.api.promise is object


@pytest.mark.parametrize("option", ["look_every", "renew_every", "first_look"])
@pytest.mark.parametrize("seconds", [-1, inf, nan])
def test_intervals_that_cannot_be_are_refused(option: str, seconds: float):
    with pytest.raises(ConfigError, match=option):
        ServerWatch({GROUP: FakeApi()}, url=URL, **{option: seconds})


def test_it_may_look_at_once_and_not_without_a_pause():
    ServerWatch({GROUP: FakeApi()}, url=URL, first_look=0)
    for option in ("look_every", "renew_every"):
        with pytest.raises(ConfigError, match=option):
            ServerWatch({GROUP: FakeApi()}, url=URL, **{option: 0})


def test_the_repr_has_the_ids():
    assert repr(ServerWatch({1: FakeApi(), 2: FakeApi()}, url=URL)) == "<ServerWatch of 1, 2>"
