"""rawbot/exchange.py: what crosses the hall, and the answer that is not there yet."""

import gc
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawbot.errors import LimitError, ProtocolError, StateError
from rawbot.event import Event
from rawbot.exchange import (
    REFUSED,
    Answer,
    Channel,
    Dial,
    EncodedText,
    Endpoint,
    OutgoingRequest,
    Pending,
    Request,
    Response,
    Service,
    Source,
    refuse,
)


def pending() -> Pending:
    """Make a request that waits until 30 and is answered with the time of the answer."""
    return Pending(None, 30.0, lambda now: Response(200, str(now).encode()))


def test_a_header_is_found_by_its_lower_case_name_and_the_first_one_counts():
    request = Request("GET", "/", headers=[(b"a", b"1"), (b"b", b"2"), (b"a", b"3")])
    assert request.header(b"a") == b"1"
    assert request.header(b"b") == b"2"
    assert request.header(b"c") is None


def test_waking_tells_the_shell_in_the_same_call():
    told: list[Response] = []
    waiting = pending()
    waiting.attach(lambda: told.append(waiting.answer(7.0)))
    assert told == []
    waiting.wake()
    assert told == [Response(200, b"7.0")]
    assert waiting.over


def test_a_wake_before_the_shell_attached_is_not_lost():
    told: list[str] = []
    waiting = pending()
    waiting.wake()
    assert not waiting.over
    waiting.attach(lambda: told.append("ready"))
    assert told == ["ready"]


def test_waking_twice_tells_once():
    told: list[str] = []
    waiting = pending()
    waiting.attach(lambda: told.append("ready"))
    waiting.wake()
    waiting.wake()
    assert told == ["ready"]


def test_the_deadline_may_answer_without_a_wake_and_a_late_wake_tells_nobody():
    told: list[str] = []
    waiting = pending()
    waiting.attach(lambda: told.append("ready"))
    assert waiting.deadline == 30.0
    assert waiting.answer(30.0).body == b"30.0"
    waiting.wake()
    assert told == []


def test_an_answer_is_made_once():
    waiting = pending()
    waiting.answer(1.0)
    with pytest.raises(StateError):
        waiting.answer(2.0)


def test_an_abandoned_request_is_over_and_nobody_is_told():
    told: list[str] = []
    waiting = pending()
    waiting.attach(lambda: told.append("ready"))
    waiting.abandon()
    waiting.abandon()
    waiting.wake()
    assert waiting.over
    assert told == []
    with pytest.raises(StateError):
        waiting.answer(1.0)


def test_a_request_abandoned_before_the_shell_attached_tells_nobody():
    told: list[str] = []
    waiting = pending()
    waiting.wake()
    waiting.abandon()
    waiting.attach(lambda: told.append("ready"))
    assert told == []


@given(st.lists(st.sampled_from(["attach", "wake", "answer", "abandon"]), max_size=8))
@settings(deadline=None, max_examples=200)
def test_in_any_order_of_calls_the_shell_is_told_at_most_once_and_never_too_late(calls: list[str]):
    waiting, told = pending(), []
    attached = woken = over = False
    for call in calls:
        if call == "attach" and not attached:
            attached = True
            waiting.attach(lambda: told.append("ready"))
        elif call == "wake":
            woken = woken or not over
            waiting.wake()
        elif call == "answer" and not over:
            over = True
            waiting.answer(1.0)
        elif call == "abandon":
            over = True
            waiting.abandon()
        assert waiting.over == over
        assert len(told) <= (attached and woken)
        assert over or len(told) == (attached and woken)


def test_a_refusal_carries_the_status_and_tells_nothing():
    first, second = ProtocolError("wrong signature", status=403, code=-40001), LimitError("too large")
    assert refuse(first) == Answer(Response(403, REFUSED), None, first)
    assert refuse(second).response == Response(413, REFUSED)
    assert refuse(second).error is second


def refused() -> Answer:
    """Refuse as an endpoint does: what was raised, behind another exception, while the answer is in a variable."""
    try:
        try:
            int("x")
        except ValueError:
            raise ProtocolError("not a number")  # noqa: B904 - a context is what this is about
    except ProtocolError as error:
        answer = refuse(error)
    return answer


def test_refusals_leave_nothing_to_the_garbage_collector():
    error = refused().error
    assert (error.__traceback__, error.__context__) == (None, None)
    gc.collect()
    gc.disable()
    try:
        for _ in range(50):
            refused()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_an_endpoint_need_only_receive():
    endpoint = Endpoint()
    endpoint.tick(0.0)
    endpoint.drain(0.0)
    assert endpoint.unsettled() == 0
    assert endpoint.sources == ()
    assert endpoint.methods == ("GET", "POST")
    with pytest.raises(NotImplementedError):
        endpoint.receive(Request("GET", "/"), 0.0)


def test_a_service_need_do_nothing():
    service = Service()
    service.start(0.0)
    service.tick(0.0)
    service.hear(Event("message", "x", "", "", "", None, None))
    service.drain(0.0)
    assert (service.sources, service.dials, service.handlers) == ((), (), None)
    assert (service.unsettled(), service.figures(), service.deadline) == (0, (), math.inf)
    assert (service.needs_bot, service.hears, service.keeps_state) == (False, False, False)


def test_a_dial_must_say_what_it_opens():
    dial = Dial("ws://x/")
    assert (dial.headers, dial.subprotocols, dial.interval, dial.max_size) == ((), (), 5.0, None)
    with pytest.raises(NotImplementedError):
        dial.open()


def test_a_channel_need_only_receive():
    channel = Channel()
    channel.opened(0.0)
    assert (channel.closing, channel.on_ready, channel.patient, list(channel.to_send())) == (None, None, False, [])
    channel.closed(1000, 0.0)
    with pytest.raises(NotImplementedError):
        channel.receive("hello", 0.0)


@given(st.text())
def test_text_that_is_encoded_already_is_its_bytes_and_knows_what_it_is(text: str):
    encoded = EncodedText(text.encode())
    assert encoded == text.encode()
    assert encoded.decode() == text
    assert isinstance(encoded, bytes)
    assert not isinstance(encoded[:], EncodedText)  # a part of it may be none


@pytest.mark.parametrize("needs_reader", [False, True])
def test_an_answer_says_whether_it_needs_somebody_who_reads_it(needs_reader: bool):  # noqa: FBT001 - a state
    assert Pending(None, 1.0, lambda _: Response(200), needs_reader=needs_reader).needs_reader is needs_reader
    assert not pending().needs_reader


def test_a_source_must_say_what_it_sends_and_hears():
    source, request = Source(), OutgoingRequest("POST", "https://example.com", b"", (), 0.0)
    assert source.on_ready is None
    with pytest.raises(NotImplementedError):
        source.next_request(0.0)
    with pytest.raises(NotImplementedError):
        source.receive(request, None, 0.0)


@pytest.mark.parametrize(
    "value",
    [
        Request("POST", "/", "msg_signature=SECRET", [(b"a", b"SECRET")], b"SECRET"),
        Response(200, b"SECRET"),
        OutgoingRequest("POST", "https://x/?response_code=SECRET", b"SECRET", (), 1.0),
        Dial("wss://x/?access_token=SECRET", headers=[(b"authorization", b"SECRET")]),
    ],
)
def test_what_crosses_the_hall_does_not_show_its_content(value: object):
    assert "SECRET" not in repr(value)
