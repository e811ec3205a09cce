"""rawbot/wecom/endpoint.py: events are answered within their five seconds, with what each may be answered with.

Source: developer.work.weixin.qq.com/document/path/101027.
"""

import pytest
from wecom_callbacks import CARD, KEY, T0, TOKEN, URL, Json, card_event, event, is_empty, message, open_answer, post

from rawbot.errors import StateError
from rawbot.event import MESSAGE, Event
from rawbot.exchange import Answer, Pending, Response
from rawbot.wecom.endpoint import EVENT_DEADLINE, MAX_EVENTS, WeComEndpoint
from rawbot.wecom.event_replies import EventReply
from rawbot.wecom.messages import CardEvent, Incoming, UnknownEvent


@pytest.fixture
def endpoint() -> WeComEndpoint:
    endpoint = WeComEndpoint(TOKEN, KEY)
    endpoint.deliveries.enabled = True
    return endpoint


def begin(endpoint: WeComEndpoint, fields: Json, now: float = T0) -> tuple[Pending, Event, EventReply]:
    """Let an event come in that waits for the bot."""
    pending = post(endpoint, fields, now)
    assert isinstance(pending, Pending)
    assert pending.deadline == now + EVENT_DEADLINE
    assert pending.event is not None
    assert isinstance(pending.event.reply, EventReply)
    return pending, pending.event, pending.event.reply


def woken(pending: Pending) -> list[Response]:
    """Return a list to which the answer is added in the call that wakes it."""
    answers: list[Response] = []
    pending.attach(lambda: answers.append(pending.answer(T0)))
    return answers


def test_the_deadline_leaves_time_before_the_platform_gives_up():
    assert EVENT_DEADLINE == 4.0


def test_a_welcome_is_answered_when_the_handler_ends(endpoint: WeComEndpoint):
    pending, told, reply = begin(endpoint, event("enter_chat"))
    assert (told.kind, told.platform, told.chat, told.sender) == ("enter_chat", "wecom", "BOT/zhangsan", "zhangsan")
    assert (told.text, told.attachments) == ("", ())
    answers = woken(pending)
    reply.write("Welcome")
    assert answers == []
    reply.finish()
    assert [open_answer(answer) for answer in answers] == [{"msgtype": "text", "text": {"content": "Welcome"}}]


def test_a_welcome_card_is_answered_at_once(endpoint: WeComEndpoint):
    pending, _, reply = begin(endpoint, event("enter_chat"))
    answers = woken(pending)
    reply.card(CARD)
    assert [open_answer(answer) for answer in answers] == [{"msgtype": "template_card", "template_card": CARD}]


def test_a_pressed_button_changes_its_card_at_once(endpoint: WeComEndpoint):
    pending, told, reply = begin(endpoint, card_event())
    assert isinstance(told.message, CardEvent)
    assert (told.kind, told.message.event_key) == ("template_card_event", "yes")
    answers = woken(pending)
    reply.update_card(CARD)
    expected = {"response_type": "update_template_card", "template_card": CARD}
    assert [open_answer(answer) for answer in answers] == [expected]
    with pytest.raises(StateError):
        reply.update_card(CARD)


def test_a_card_that_is_not_changed_in_time_is_answered_empty(endpoint: WeComEndpoint):
    pending, _, reply = begin(endpoint, card_event())
    assert pending.answer(T0 + EVENT_DEADLINE) == Response(200)
    with pytest.raises(StateError, match="five seconds are over"):
        reply.update_card(CARD)
    reply.write("Too late for the card.")
    reply.finish()
    request = endpoint.deliveries.next_request(T0)
    assert request is not None
    assert request.url == URL


def test_time_brings_a_delivery_back_that_never_arrived(endpoint: WeComEndpoint):
    _, _, reply = begin(endpoint, card_event())
    reply.write("Noted.")
    reply.finish()
    request = endpoint.deliveries.next_request(T0)
    assert request is not None
    endpoint.deliveries.receive(request, None, T0)
    told: list[float] = []
    endpoint.deliveries.on_ready = lambda: told.append(0)
    endpoint.tick(T0 + 1)
    assert told == [0]


def test_a_slow_welcome_is_answered_with_what_there_is(endpoint: WeComEndpoint):
    pending, _, reply = begin(endpoint, event("enter_chat"))
    reply.write("Wel")
    assert open_answer(pending.answer(T0 + 4), T0 + 4) == {"msgtype": "text", "text": {"content": "Wel"}}
    silent, _, _ = begin(endpoint, event("enter_chat", msgid="e2"))
    assert silent.answer(T0 + 4) == Response(200)


def test_a_handler_that_fails_leaves_an_empty_answer(endpoint: WeComEndpoint):
    for number, fields in enumerate((event("enter_chat"), card_event(msgid="e9"))):
        pending, _, reply = begin(endpoint, fields)
        answers = woken(pending)
        reply.fail()
        assert answers == [Response(200)]
        assert endpoint.deliveries.waiting() == number  # a press has a response_url to tell it through


@pytest.mark.parametrize("fields", [event("enter_chat"), card_event()], ids=["enter_chat", "card"])
def test_a_repeated_event_gets_the_same_answer_and_the_bot_hears_it_once(endpoint: WeComEndpoint, fields: Json):
    first, told, reply = begin(endpoint, fields)
    again = post(endpoint, fields, T0 + 1)
    assert isinstance(again, Pending)
    assert again.event is None
    answers, more = woken(first), woken(again)
    if told.kind == "enter_chat":
        reply.card(CARD)
    else:
        reply.update_card(CARD)
    later = post(endpoint, fields, T0 + 10)
    assert later.event is None
    assert open_answer(answers[0]) == open_answer(more[0]) == open_answer(later, T0 + 10)


def test_a_repetition_after_the_deadline_is_answered_empty_too(endpoint: WeComEndpoint):
    pending, _, _ = begin(endpoint, card_event())
    pending.answer(T0 + 4)
    assert is_empty(post(endpoint, card_event(), T0 + 5))


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (event("feedback_event", {"id": "boot-1", "type": 2}), "feedback_event"),
        (event("something_new", {"x": 1}), "something_new"),
        (event("disconnected_event"), "disconnected_event"),
        (message(msgtype="link", link={"href": "x"}), "link"),
        (message(msgtype="event"), "event"),
        (event(MESSAGE), "event"),
        (message(msgtype=MESSAGE), "event"),
    ],
)
def test_what_cannot_be_answered_is_acknowledged_and_passed_on_raw(endpoint: WeComEndpoint, fields: Json, kind: str):
    exchange = post(endpoint, fields)
    assert is_empty(exchange)
    assert exchange.event is not None
    assert exchange.event.kind == kind
    assert exchange.event.message.raw == fields
    assert exchange.event.reply.finished
    with pytest.raises(StateError):
        exchange.event.reply.write("thanks")
    exchange.event.reply.finish()
    again = post(endpoint, fields, T0 + 1)
    assert is_empty(again)
    assert again.event is None
    assert isinstance(exchange.event.message, UnknownEvent) == (kind != "feedback_event")


@pytest.mark.parametrize("fields", [event("enter_chat"), card_event(), event("something_new")])
def test_a_draining_endpoint_tells_the_bot_of_no_event(endpoint: WeComEndpoint, fields: Json):
    endpoint.drain(T0)
    exchange = post(endpoint, fields)
    assert is_empty(exchange)
    assert exchange.event is None


def test_events_open_no_streams_and_are_forgotten(endpoint: WeComEndpoint):
    begin(endpoint, event("enter_chat"))
    post(endpoint, event("something_new", msgid="e2"))
    assert (len(endpoint.streams), endpoint.unsettled(), len(endpoint._remembered)) == (0, 0, 2)
    endpoint.tick(T0 + 3600)
    assert len(endpoint._remembered) == 0


def test_a_remembered_event_holds_none_of_its_words(endpoint: WeComEndpoint):
    post(endpoint, event("something_new", {"x": "a private word"}))
    (entry,) = endpoint._events._entries.values()
    kept = [getattr(entry[1], name) for name in EventReply.__slots__]
    assert "a private word" not in repr(kept)
    assert not any(isinstance(value, Incoming) for value in kept)


def test_the_answer_to_an_event_is_kept_for_a_minute_and_its_msgid_for_the_replay_window(endpoint: WeComEndpoint):
    _, _, reply = begin(endpoint, event("enter_chat"))
    reply.write("Welcome")
    reply.finish()
    again = post(endpoint, event("enter_chat"), T0 + 59)
    assert isinstance(again, Answer)
    assert open_answer(again, T0 + 59)["text"]["content"] == "Welcome"
    late = post(endpoint, event("enter_chat"), T0 + 61)
    assert isinstance(late, Answer)
    assert (late.response.status, late.response.body, late.event) == (200, b"", None)
    assert len(endpoint._events) == 0


def test_answers_to_events_are_bounded(endpoint: WeComEndpoint):
    for number in range(MAX_EVENTS + 3):
        post(endpoint, event("something_new", msgid=f"e{number}"))
    assert len(endpoint._events) == MAX_EVENTS


def test_the_bot_is_told_where_an_event_is_from_and_all_that_it_says(endpoint: WeComEndpoint):
    _, pressed, _ = begin(endpoint, card_event(msgid="e7") | {"chattype": "group", "chatid": "wr-1"})
    assert (pressed.message_id, pressed.bot, pressed.group) == ("e7", "BOT", "wr-1")
    assert pressed.payload == {"card_type": "button_interaction", "event_key": "yes", "task_id": "task-1"}
    assert (pressed.patience, pressed.keeper, pressed.quoted, pressed.reply_to) == (0.0, None, "", "")


def test_only_a_welcome_leaves_time_for_words(endpoint: WeComEndpoint):
    _, entered, _ = begin(endpoint, event("enter_chat", msgid="e8"))
    assert (entered.patience, entered.payload, entered.group) == (EVENT_DEADLINE, {}, "")
    judged = post(endpoint, event("feedback_event", {"id": "x"}, "e9")).event
    assert judged is not None
    assert (judged.patience, judged.payload) == (0.0, {"id": "x"})
