"""rawbot/aio/engine.py: services without a path: their time, their events, and who hears of everybody's."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from time import time

import pytest
from fake_endpoint import FakeEndpoint, FakeReply, make_event, until
from rogue_server import RogueServer, response

from rawbot.aio import engine as engine_module
from rawbot.aio.app import App
from rawbot.aio.engine import Engine
from rawbot.aio.settings import Timeouts
from rawbot.bot import Bot
from rawbot.event import Event, Handler
from rawbot.exchange import Answer, Figure, OutgoingRequest, Request, Response, Service, Source
from rawbot.lanes import Policy

QUICK = Timeouts(graceful=0.1, settle=0.1)


class FakeService(Service):
    """Keeps what it is told, and when."""

    def __init__(self, *, hears: bool = False, every: float = math.inf, late: bool = False) -> None:
        self.hears = hears
        self.every = every
        self.late = late
        self.ticks: list[float] = []
        self.heard: list[Event] = []
        self.calls: list[str] = []
        self.open = 0

    def start(self, now: float) -> None:
        assert abs(time() - now) < 60
        self.calls.append("start")

    def tick(self, now: float) -> None:
        self.ticks.append(now)
        if not self.late:
            self.deadline = now + self.every

    def drain(self, now: float) -> None:
        assert abs(time() - now) < 60
        self.calls.append("drain")

    def hear(self, event: Event) -> None:
        self.heard.append(event)

    def figures(self) -> list[Figure]:
        return [Figure("open", "gauge", self.open, "How many are open.")]

    def unsettled(self) -> int:
        return self.open


class Own:
    """Handlers of a service's own."""

    policy: Policy = "queue"
    max_waiting = 3

    def __init__(self) -> None:
        self.seen: list[str] = []

    def handler_for(self, kind: str) -> Handler | None:
        del kind
        return lambda event, _: self.seen.append(event.text)


@contextlib.asynccontextmanager
async def running(app: App) -> AsyncIterator[Engine]:
    engine = app.engine(asyncio.get_running_loop())
    try:
        yield engine
    finally:
        await app.aclose()


def attach(*services: Service, bot: Bot | None = None, endpoint: FakeEndpoint | None = None) -> App:
    """Make an app with these, and an endpoint at /0 perhaps."""
    app = App(bot, timeouts=QUICK)
    if endpoint is not None:
        app.add("/0", endpoint)
    for service in services:
        app.attach(service)
    return app


def noting() -> tuple[Bot, list[str]]:
    """Return a bot, and the texts that it sees."""
    bot, seen = Bot(), []
    bot.on_message(lambda event, _: seen.append(event.text))
    return bot, seen


# Life and time


def test_a_service_is_started_ticked_and_drained_as_an_endpoint_is():
    service, endpoint = FakeService(), FakeEndpoint()

    async def run():
        async with running(attach(service, bot=Bot(), endpoint=endpoint)) as engine:
            assert (service.calls, endpoint.starts) == (["start"], 1)
            assert (len(service.ticks), endpoint.ticks) == (1, 1)
            assert service.fetch == engine._clients[0].fetch
            assert [(name, figure.name) for name, figure in engine.figures()] == [("FakeService", "open")]
            assert not engine.busy
            service.open = 1
            assert engine.busy
            assert not engine.awaits_requests
            service.keeps_state = True
            assert engine.awaits_requests
            service.open = 0
        assert (service.calls, endpoint.drained) == (["start", "drain"], True)

    asyncio.run(run())


def test_one_that_fails_to_drain_does_not_keep_the_others_from_it(caplog: pytest.LogCaptureFixture):
    class Failing(FakeService):
        def drain(self, now: float) -> None:
            super().drain(now)
            raise ZeroDivisionError

    failing, sound = Failing(), FakeService()

    async def run():
        async with running(attach(failing, sound)):
            pass

    asyncio.run(run())
    assert failing.calls == sound.calls == ["start", "drain"]
    assert "the service Failing failed to take on nothing new" in caplog.text


@pytest.mark.parametrize("ahead", [0.0, 0.001, 0.05])
def test_a_deadline_is_kept_before_the_second_is_over(ahead: float):
    service, other = FakeService(every=ahead or 0.02), FakeService()

    async def run():
        async with running(attach(service, other)):
            await until(lambda: len(service.ticks) >= 4)

    asyncio.run(run())
    assert service.ticks[3] - service.ticks[0] >= 3 * ahead - 0.001  # clocks differ
    assert other.ticks == service.ticks  # all of them are called


@pytest.mark.parametrize("deadline", [0.0, -math.inf, math.nan])
def test_a_deadline_in_the_past_does_not_have_the_loop_spin(monkeypatch: pytest.MonkeyPatch, deadline: float):
    monkeypatch.setattr(engine_module, "TICK", 0.05)
    service = FakeService(late=True)
    service.deadline = deadline

    async def run():
        async with running(attach(service)):
            await asyncio.sleep(0.12)

    asyncio.run(run())
    assert 2 <= len(service.ticks) <= 3


def test_a_deadline_that_has_just_come_and_is_not_moved_is_kept_once():
    service = FakeService(late=True)

    async def run():
        service.deadline = time() + 0.03
        async with running(attach(service)):
            await asyncio.sleep(0.15)

    asyncio.run(run())
    assert 2 <= len(service.ticks) <= 4  # a timer may come a trifle before the clock on the wall is there


def test_a_deadline_beyond_the_second_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine_module, "TICK", 0.02)
    service = FakeService(every=3600)

    async def run():
        async with running(attach(service)):
            await until(lambda: len(service.ticks) >= 3)

    asyncio.run(run())


def test_failures_that_were_not_told_of_one_by_one_are_told_of_as_time_passes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine_module, "TICK", 0.02)
    asked: list[str] = []

    async def run():
        async with running(attach()) as engine:
            monkeypatch.setattr(engine._outgoing, "tick", lambda _: asked.append("outgoing"))
            monkeypatch.setattr(engine._dialing, "tick", lambda _: asked.append("dialing"))
            await until(lambda: len(asked) >= 4)

    asyncio.run(run())
    assert asked[:4] == ["outgoing", "dialing"] * 2


# Events


def test_what_a_service_tells_goes_to_the_app_s_bot_or_to_the_one_that_it_is_attached_for():
    (first, seen), (second, seen_too) = noting(), noting()
    service, other = FakeService(), FakeService()
    app = attach(service, bot=first)
    app.attach(other, bot=second)

    async def run():
        async with running(app):
            service.dispatch(make_event("one"))
            other.dispatch(make_event("two"))
            await until(lambda: seen and seen_too)

    asyncio.run(run())
    assert (seen, seen_too) == (["one"], ["two"])


def test_handlers_of_its_own_come_first():
    bot, seen = noting()
    service, own = FakeService(), Own()
    service.handlers = own
    endpoint = FakeEndpoint(lambda *_: Answer(Response(200), make_event("asked")))
    endpoint.handlers = own

    async def run():
        async with running(attach(service, bot=bot, endpoint=endpoint)) as engine:
            service.dispatch(make_event("told"))
            exchange, door = engine.receive(Request("GET", "/0"), 1.0)
            door.dispatch(exchange.event)
            await until(lambda: len(own.seen) == 2)

    asyncio.run(run())
    assert (own.seen, seen) == (["told", "asked"], [])


def test_without_a_bot_what_a_service_tells_is_finished_by_nobody_s_handler():
    service, reply = FakeService(), FakeReply()

    async def run():
        async with running(attach(service)):
            service.dispatch(make_event(reply=reply))
            await until(lambda: reply.endings)

    asyncio.run(run())
    assert reply.endings == ["finished"]


def test_who_wants_to_hear_hears_of_every_event_before_its_handler_does():
    bot, other_bot, seen = Bot(), Bot(), []
    hearing, deaf = FakeService(hears=True), FakeService()
    for each in (bot, other_bot):
        each.on_message(lambda event, _: seen.append((event.text, hearing.heard[-1] is event)))
    endpoint = FakeEndpoint(lambda *_: Answer(Response(200), make_event("from the endpoint")))
    app = attach(hearing, deaf, bot=bot, endpoint=endpoint)
    app.add("/1", other := FakeEndpoint(), bot=other_bot)

    async def run():
        async with running(app) as engine:
            exchange, door = engine.receive(Request("GET", "/0"), 1.0)
            door.dispatch(exchange.event)
            await until(lambda: len(seen) == 1)
            deaf.dispatch(make_event("from a service"))
            await until(lambda: len(seen) == 2)
            other.dispatch(make_event("for another bot"))
            await until(lambda: len(seen) == 3)
            assert deaf.heard == []

    asyncio.run(run())
    assert seen == [("from the endpoint", True), ("from a service", True), ("for another bot", True)]


def test_events_for_handlers_of_a_service_s_own_are_nobody_else_s():
    hearing, private = FakeService(hears=True), FakeService()
    private.handlers = own = Own()

    async def run():
        async with running(attach(hearing, private, bot=Bot())):
            private.dispatch(make_event("between us"))
            await until(lambda: own.seen)

    asyncio.run(run())
    assert hearing.heard == []


def test_who_hears_hears_of_events_that_no_bot_is_there_for():
    hearing, endpoint = FakeService(hears=True), FakeEndpoint()
    endpoint.needs_bot = False

    async def run():
        async with running(attach(hearing, endpoint=endpoint)):
            endpoint.dispatch(make_event("anybody?"))

    asyncio.run(run())
    assert [event.text for event in hearing.heard] == ["anybody?"]


# What is sent


class FakeSource(Source):
    """Has one request to send."""

    def __init__(self, url: str, *, trusted: bool) -> None:
        self.url = url
        self.trusted = trusted
        self.answers: list[Response | None] = []

    def next_request(self, now: float) -> OutgoingRequest | None:
        url, self.url = self.url, ""
        return OutgoingRequest("POST", url, b"{}", ((b"user-agent", b"own"),), now + 60) if url else None

    def receive(self, request: OutgoingRequest, response: Response | None, now: float) -> bool:
        del request, now
        self.answers.append(response)
        return True


def test_the_operator_s_own_urls_lead_anywhere_and_those_of_peers_do_not():
    body = bytes(200_000)  # more than an answer to peers' requests may have

    async def run():
        async with RogueServer(response(body)).open() as server:
            service = FakeService()
            own, other = (FakeSource(server.url(), trusted=trusted) for trusted in (True, False))
            service.sources = (own, other)
            async with running(attach(service)) as engine:
                for source in service.sources:
                    source.on_ready()
                await until(lambda: own.answers and other.answers)
                clients = engine._clients
            assert [answer.status for answer in own.answers + other.answers] == [200, 504]
            assert own.answers[0].body == body
            assert len(server.requests) == 1
            assert b"user-agent: own" in server.requests[0].lower()
            assert [client._closed for client in clients] == [True, True]

    asyncio.run(run())
