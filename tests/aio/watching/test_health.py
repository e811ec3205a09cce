"""rawbot/aio/watching/health.py: what a load balancer is told in each state of an app."""

import pytest
from watched_app import FakeApp

from rawbot.aio.watching.health import Liveness, Readiness
from rawbot.exchange import Endpoint, Request, Response

GET = Request("GET", "/")


def ask(endpoint: Endpoint) -> Response:
    return endpoint.receive(GET, 0.0).response


def test_whoever_answers_is_alive():
    assert (ask(Liveness()).status, ask(Liveness()).body) == (200, b"alive\n")


@pytest.mark.parametrize(
    ("started", "draining", "status", "word"),
    [
        (False, False, 503, b"starting\n"),
        (True, False, 200, b"ready\n"),
        (True, True, 503, b"draining\n"),
        (False, True, 503, b"draining\n"),
    ],
    ids=["start-up hooks run", "it serves", "it drains", "it ends before it began"],
)
def test_it_is_ready_from_the_end_of_the_start_to_the_beginning_of_the_end(
    started: bool,  # noqa: FBT001 - a parameter of the table
    draining: bool,  # noqa: FBT001 - a parameter of the table
    status: int,
    word: bytes,
):
    response = ask(Readiness(FakeApp(started=started, draining=draining)))
    assert (response.status, response.body) == (status, word)


def test_it_follows_the_app_through_its_life():
    app = FakeApp()
    readiness, engine = Readiness(app), app.running
    app.running = None
    assert (ask(readiness).status, ask(readiness).body) == (503, b"stopped\n")
    app.running = engine
    assert ask(readiness).status == 200
    engine.draining = True
    assert ask(readiness).status == 503


def test_who_is_sent_away_is_told_when_to_come_back():
    """RFC 9110, section 10.2.3."""
    assert (b"retry-after", b"1") in ask(Readiness(FakeApp(draining=True))).headers
    assert b"retry-after" not in dict(ask(Readiness(FakeApp())).headers)


def test_no_answer_is_kept_by_a_cache():
    for endpoint in (Liveness(), Readiness(FakeApp()), Readiness(FakeApp(draining=True))):
        assert (b"cache-control", b"no-store") in ask(endpoint).headers
        assert endpoint.methods == ("GET",)
        assert not endpoint.needs_bot
