"""rawbot/aio/engine.py: which services hear of which events."""

import asyncio

from fake_endpoint import FakeEndpoint, make_app, make_event, until

from rawbot.bot import Bot
from rawbot.event import Event
from rawbot.exchange import Service


class Hearing(Service):
    """A service that hears of what happens, and may have something to tell its own handlers."""

    hears = True

    def __init__(self, handlers: Bot | None = None) -> None:
        self.handlers = handlers
        self.heard: list[str] = []

    def hear(self, event: Event) -> None:
        self.heard.append(event.text)


def test_services_hear_of_what_bots_are_told_and_not_of_what_is_for_a_service_s_own_handlers():
    endpoint, other, hearing, with_handlers = FakeEndpoint(), FakeEndpoint(), Hearing(), Hearing(Bot())
    app = make_app(endpoint)
    app.add("/other", other, bot=Bot())
    app.attach(hearing)
    app.attach(with_handlers)
    events = [make_event(text) for text in ("one", "two", "own")]

    async def run() -> None:
        app.engine(asyncio.get_running_loop())
        for service, event in zip((endpoint, other, with_handlers), events, strict=True):
            assert service.dispatch is not None
            service.dispatch(event)
        await until(lambda: all(event.reply.finished for event in events))
        await app.aclose()

    asyncio.run(run())
    assert hearing.heard == with_handlers.heard == ["one", "two"]
