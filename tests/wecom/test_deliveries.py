"""rawbot/wecom/deliveries.py: one use per URL, an hour's life, second tries only of what surely never arrived.

Source of the rules: developer.work.weixin.qq.com/document/path/101138.
"""

from collections.abc import Iterator

import pytest
from wecom_callbacks import T0, URL

from rawbot.errors import StateError
from rawbot.exchange import OutgoingRequest, Response
from rawbot.wecom.deliveries import FETCHED_WITHIN, LIFETIME, RETRY_AFTER, Deliveries

OK = Response(200, b'{"errcode":0,"errmsg":"ok"}')


def enabled(**settings: int) -> Deliveries:
    deliveries = Deliveries(**settings)
    deliveries.enabled = True
    return deliveries


def post(deliveries: Deliveries, body: bytes = b"{}", url: str = URL, **after: str) -> None:
    deliveries.post(url, body, expires_at=T0 + LIFETIME, **after)


def take(deliveries: Deliveries, now: float = T0) -> OutgoingRequest:
    request = deliveries.next_request(now)
    assert request is not None
    return request


def test_a_body_is_posted_as_plain_json():
    deliveries = enabled()
    post(deliveries, b'{"msgtype":"markdown"}')
    request = take(deliveries)
    assert (request.method, request.url, request.body) == ("POST", URL, b'{"msgtype":"markdown"}')
    assert list(request.headers) == [(b"content-type", b"application/json")]
    assert request.expires_at == T0 + LIFETIME
    assert deliveries.next_request(T0) is None


def test_bodies_leave_in_the_order_in_which_they_came():
    deliveries = enabled()
    for number in range(3):
        post(deliveries, b"%d" % number)
    assert deliveries.waiting() == 3
    assert [take(deliveries).body for _ in range(3)] == [b"0", b"1", b"2"]
    assert deliveries.waiting() == 0


def test_the_shell_is_told_that_something_is_there():
    deliveries = enabled()
    told: list[bytes] = []
    deliveries.on_ready = lambda: told.append(take(deliveries).body)
    post(deliveries, b"1")
    assert told == [b"1"]


@pytest.mark.parametrize(("url", "on"), [("", True), (URL, False)])
def test_what_cannot_be_posted_is_counted_as_lost(url: str, on: bool):  # noqa: FBT001 - a parameter of the table
    deliveries = Deliveries()
    deliveries.enabled = on
    assert not deliveries.can_post(url)
    post(deliveries, url=url)
    assert (deliveries.waiting(), deliveries.lost, deliveries.sent) == (0, 1, 0)


# What follows a bubble


def test_what_follows_a_bubble_waits_till_its_end_was_fetched():
    deliveries = enabled()
    told: list[int] = []
    deliveries.on_ready = lambda: told.append(deliveries.waiting())
    post(deliveries, b"1", after="boot-1")
    post(deliveries, b"2", after="boot-2")
    assert (deliveries.next_request(T0), deliveries.waiting(), told) == (None, 2, [])
    deliveries.release("boot-2")
    assert (take(deliveries).body, told) == (b"2", [2])
    deliveries.release("boot-2")
    deliveries.release("boot-3")
    assert (deliveries.next_request(T0), told) == (None, [2])
    deliveries.release("boot-1")
    assert take(deliveries).body == b"1"


def test_it_waits_a_few_seconds_and_no_longer_for_a_platform_that_does_not_ask():
    deliveries = enabled()
    deliveries.tick(T0)
    post(deliveries, b"1", after="boot-1")
    deliveries.tick(T0 + 1)
    post(deliveries, b"2", after="boot-2")
    told: list[bytes] = []
    deliveries.on_ready = lambda: told.append(take(deliveries, T0 + FETCHED_WITHIN).body)
    deliveries.tick(T0 + FETCHED_WITHIN - 0.1)
    assert told == []
    deliveries.tick(T0 + FETCHED_WITHIN)
    assert told == [b"1"]
    deliveries.release("boot-1")
    deliveries.tick(T0 + FETCHED_WITHIN + 1)
    assert told == [b"1", b"2"]
    assert deliveries.waiting() == 0


def test_at_the_end_nothing_waits_and_nothing_is_held_back():
    deliveries = enabled()
    for bubble in ("boot-1", "boot-2"):
        post(deliveries, bubble.encode(), after=bubble)
    deliveries.drain()
    assert [take(deliveries).body for _ in range(2)] == [b"boot-1", b"boot-2"]
    post(deliveries, b"late", after="boot-3")
    assert take(deliveries).body == b"late"
    deliveries.start()
    post(deliveries, after="boot-4")
    assert deliveries.next_request(T0) is None


def test_what_is_held_back_has_its_place_among_those_that_wait():
    deliveries = enabled(max_waiting=1)
    post(deliveries, after="boot-1")
    assert not deliveries.can_post(URL)
    post(deliveries, after="boot-2")
    assert (deliveries.waiting(), deliveries.lost) == (1, 1)


def test_a_clock_that_is_set_back_delays_nothing():
    deliveries = enabled()
    deliveries.tick(T0)
    post(deliveries, b"held", after="boot-1")
    post(deliveries, b"tried")
    deliveries.receive(take(deliveries), None, T0)
    deliveries.tick(T0 - 3600)
    assert deliveries.next_request(T0 - 3600) is None
    later = T0 - 3600 + FETCHED_WITHIN
    deliveries.tick(later)
    assert [take(deliveries, later).body for _ in range(2)] == [b"tried", b"held"]


# Bounds and second tries


def test_no_more_wait_than_there_is_room_for():
    deliveries = enabled(max_waiting=2)
    post(deliveries)
    assert deliveries.can_post(URL)
    assert deliveries.receive(take(deliveries), None, T0)
    post(deliveries)
    assert not deliveries.can_post(URL)
    post(deliveries)
    assert (deliveries.waiting(), deliveries.lost) == (2, 1)


@pytest.mark.parametrize("body", [OK.body, b"{}", b"", b"ok", b"[]"])
def test_an_accepted_delivery_is_over(body: bytes):
    deliveries = enabled()
    post(deliveries)
    assert deliveries.receive(take(deliveries), Response(200, body), T0)
    deliveries.tick(T0 + 100)
    assert (deliveries.waiting(), deliveries.sent, deliveries.lost) == (0, 1, 0)


@pytest.mark.parametrize("response", [Response(200, b'{"errcode":40008}'), Response(500), Response(302), Response(504)])
def test_a_refused_delivery_is_lost_and_never_tried_again(response: Response):
    deliveries = enabled()
    post(deliveries)
    assert not deliveries.receive(take(deliveries), response, T0)
    deliveries.tick(T0 + 100)
    assert (deliveries.waiting(), deliveries.sent, deliveries.lost) == (0, 0, 1)


def test_what_never_arrived_is_tried_again_at_growing_intervals_and_then_given_up():
    deliveries = enabled()
    post(deliveries)
    now = T0
    for wait in RETRY_AFTER:
        assert deliveries.receive(take(deliveries, now), None, now)
        assert deliveries.next_request(now + wait - 0.1) is None
        assert deliveries.waiting() == 1
        now += wait
    assert not deliveries.receive(take(deliveries, now), None, now)
    assert (deliveries.waiting(), deliveries.sent, deliveries.lost) == (0, 0, 1)


def test_a_second_try_may_succeed():
    deliveries = enabled()
    post(deliveries)
    deliveries.receive(take(deliveries), None, T0)
    assert deliveries.receive(take(deliveries, T0 + 1), OK, T0 + 1)
    assert (deliveries.sent, deliveries.lost) == (1, 0)


def test_time_alone_brings_second_tries_back():
    deliveries = enabled()
    post(deliveries)
    deliveries.tick(T0)  # without a shell that listens
    deliveries.receive(take(deliveries), None, T0)
    told: list[float] = []
    deliveries.on_ready = lambda: told.append(0)
    deliveries.tick(T0 + RETRY_AFTER[0] - 0.1)
    assert not told
    deliveries.tick(T0 + RETRY_AFTER[0])
    assert len(told) == 1
    deliveries.on_ready = None
    deliveries.receive(take(deliveries, T0 + 1), None, T0 + 1)
    deliveries.tick(T0 + 100)
    assert take(deliveries, T0 + 100).url == URL


def test_second_tries_leave_in_the_order_of_their_time():
    deliveries = enabled()
    for number in range(4):
        post(deliveries, b"%d" % number)
    for tries, request in zip((2, 0, 1, 0), [take(deliveries) for _ in range(4)], strict=True):
        request.tries = tries
        deliveries.receive(request, None, T0)
    assert [take(deliveries, T0 + 20).body for _ in range(4)] == [b"1", b"3", b"2", b"0"]


def test_waiting_tries_cost_nothing_until_they_are_due():
    deliveries = enabled()
    for _ in range(1000):
        post(deliveries)
        deliveries.receive(take(deliveries), None, T0)
    looked_at = CountingList(deliveries._later)
    deliveries._later = looked_at
    deliveries.tick(T0 + 0.5)
    assert looked_at.reads == 1


class CountingList(list):
    """A list that counts how many of its items are looked at."""

    reads = 0

    def __getitem__(self, index: int) -> tuple:
        self.reads += 1
        return super().__getitem__(index)

    def __iter__(self) -> Iterator[tuple]:
        self.reads += len(self)
        return super().__iter__()


def test_a_url_s_life_ends_after_an_hour():
    deliveries = enabled()
    post(deliveries, b"old")
    deliveries.post(URL, b"new", expires_at=T0 + 2 * LIFETIME)
    assert take(deliveries, T0 + LIFETIME).body == b"new"
    assert (deliveries.lost, deliveries.next_request(T0 + LIFETIME)) == (1, None)


@pytest.mark.parametrize(
    ("url", "on", "room", "now", "reason"),
    [
        ("", True, 1, T0, "no response_url"),
        (URL, False, 1, T0, r"rawbot\[client\]"),
        (URL, True, 1, T0 + LIFETIME, "an hour"),
        (URL, True, 0, T0, "too many"),
        (URL, True, 1, T0 + LIFETIME - 1, None),
    ],
)
def test_why_a_body_would_not_be_sent_is_told(url: str, on: bool, room: int, now: float, reason: str | None):  # noqa: FBT001
    deliveries = Deliveries(max_waiting=room)
    deliveries.enabled = on
    deliveries.tick(now)
    if reason is None:
        deliveries.demand(url, expires_at=T0 + LIFETIME)
        return
    with pytest.raises(StateError, match=reason):
        deliveries.demand(url, expires_at=T0 + LIFETIME)
    assert deliveries.lost == 0
