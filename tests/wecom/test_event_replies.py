"""rawbot/wecom/event_replies.py: one answer per event, of the kind that the vendor's page allows for it, in time."""

import json

import pytest
from open_streams import TEXTS, sent
from wecom_callbacks import CARD, T0, URL, Json, card_event, event, message

from rawbot.errors import StateError
from rawbot.event import MESSAGE, FollowUp, Reply
from rawbot.exchange import Pending, Response
from rawbot.wecom.cards import CardError
from rawbot.wecom.deliveries import LIFETIME, Deliveries
from rawbot.wecom.event_replies import EMPTY, EventReply
from rawbot.wecom.markdown import TEXT_LIMIT
from rawbot.wecom.messages import decode_message

WELCOME = event("enter_chat")
FEEDBACK = event("feedback_event", {"id": "boot-1", "type": 1})
UNKNOWN = event("something_new", {"x": "a private word"})
PRESSED = card_event()

each_event = pytest.mark.parametrize(
    "fields", [WELCOME, PRESSED, FEEDBACK, UNKNOWN], ids=lambda f: f["event"]["eventtype"]
)


def reply_to(fields: Json) -> EventReply:
    deliveries = Deliveries()
    deliveries.enabled = True
    return EventReply(decode_message(json.dumps(fields).encode()), T0, deliveries, TEXTS)


def answer_of(reply: EventReply) -> Json | None:
    """Return the passive reply; None for one that says nothing. It must be there."""
    assert reply.answer is not None
    return json.loads(reply.answer) if reply.answer != EMPTY else None


def waiting_request(reply: EventReply) -> list[bytes]:
    """Let a request wait; return a list to which its answer is added, in the call that wakes it."""
    answers: list[bytes] = []
    pending = Pending(None, T0 + 4, lambda _: Response(200, reply.time_out()))
    pending.attach(lambda: answers.append(pending.answer(T0).body))
    reply.wait(pending)
    return answers


def late(reply: EventReply) -> list[Json]:
    return sent(reply._deliveries)


@each_event
def test_a_handler_without_a_word_makes_an_empty_answer(fields: Json):
    reply: Reply = reply_to(fields)
    for end in (reply.finish, reply.fail, lambda: reply.cancel("superseded"), reply.finish):
        end()
    assert reply.finished
    assert answer_of(reply) is None
    assert late(reply) == []


@pytest.mark.parametrize(
    ("fields", "kind", "answerable"),
    [
        (WELCOME, "enter_chat", True),
        (PRESSED, "template_card_event", True),
        (FEEDBACK, "feedback_event", False),
        (UNKNOWN, "something_new", False),
        (message(msgtype="link"), "link", False),
        (message(), "event", False),
        (event(MESSAGE), "event", False),  # no event may pass for what a user wrote
    ],
)
def test_an_event_is_named_as_the_vendor_names_it(fields: Json, kind: str, answerable: bool):  # noqa: FBT001
    reply = reply_to(fields)
    assert (reply.kind, reply.answerable) == (kind, answerable)


@each_event
def test_a_reply_s_repr_tells_none_of_its_words(fields: Json):
    reply = reply_to(fields)
    reply._parts.append("a private word")
    assert "private" not in repr(reply) + str(reply)
    assert "response_code" not in repr(reply)


@pytest.mark.parametrize("fields", [FEEDBACK, UNKNOWN])
def test_what_may_not_be_answered_cannot_be_written_to(fields: Json):
    reply = reply_to(fields)
    for write in (reply.write, reply.replace):
        with pytest.raises(StateError, match="may not be answered"):
            write("thanks")
    for give in (reply.card, reply.update_card):
        with pytest.raises(StateError, match="only"):
            give(CARD)


@each_event
def test_a_finished_reply_cannot_be_written_to(fields: Json):
    reply = reply_to(fields)
    reply.finish()
    for write in (reply.write, reply.replace):
        with pytest.raises(StateError, match="finished" if reply.answerable else "may not be answered"):
            write("x")
    for give in (reply.card, reply.update_card):
        with pytest.raises(StateError, match="finished"):
            give(CARD)


def test_a_welcome_is_what_was_written_when_the_handler_ends():
    reply = reply_to(WELCOME)
    answers = waiting_request(reply)
    reply.write("no")
    reply.replace("Wel")
    reply.write("come\ud83d")
    assert (reply.text, answers) == ("Welcome\ufffd", [])
    reply.finish()
    assert answers == [reply.answer]
    assert answer_of(reply) == {"msgtype": "text", "text": {"content": "Welcome\ufffd"}}
    assert reply.text == ""  # remembered replies hold no words


def test_a_welcome_may_be_a_card_and_is_sent_at_once():
    reply = reply_to(WELCOME)
    answers = waiting_request(reply)
    reply.card(CARD)
    assert answers == [reply.answer]
    with pytest.raises(StateError, match="sent already"):
        reply.write("unheard")
    reply.finish()
    assert answer_of(reply) == {"msgtype": "template_card", "template_card": CARD}


def test_a_failed_welcome_is_left_out():
    reply = reply_to(WELCOME)
    reply.write("Wel")
    reply.fail()
    assert answer_of(reply) is None
    assert late(reply) == []


def test_a_stopped_welcome_says_what_it_has():
    reply = reply_to(WELCOME)
    reply.write("Welcome")
    reply.cancel("shutdown")
    assert answer_of(reply) == {"msgtype": "text", "text": {"content": "Welcome"}}


def test_a_welcome_that_is_not_done_in_time_says_what_it_has():
    reply = reply_to(WELCOME)
    reply.write("Welcome")
    assert json.loads(reply.time_out())["text"]["content"] == "Welcome"
    with pytest.raises(StateError, match="five seconds are over"):
        reply.write(", too late")
    reply.finish()
    assert json.loads(reply.time_out())["text"]["content"] == "Welcome"
    with pytest.raises(StateError, match="finished"):
        reply.card(CARD)


def test_a_changed_card_is_sent_at_once():
    reply = reply_to(PRESSED)
    answers = waiting_request(reply)
    reply.update_card(CARD)
    assert answers == [reply.answer]
    assert answer_of(reply) == {"response_type": "update_template_card", "template_card": CARD}
    only = reply_to(PRESSED)
    only.update_card(CARD, userids=["u1", "u2"])
    assert answer_of(only) == {
        "response_type": "update_template_card",
        "template_card": CARD,
        "userids": ["u1", "u2"],
    }


def test_a_card_is_changed_once_and_in_time():
    twice, late_one = reply_to(PRESSED), reply_to(PRESSED)
    twice.update_card(CARD)
    assert late_one.time_out() == EMPTY
    for reply in (twice, late_one):
        answer = reply.answer
        with pytest.raises(StateError, match="sent already, or its five seconds are over"):
            reply.update_card(CARD)
        assert reply.answer == answer


def test_a_changed_card_must_be_the_one_that_was_pressed_and_a_good_one():
    reply = reply_to(PRESSED)
    with pytest.raises(StateError, match="task_id"):
        reply.update_card({**CARD, "task_id": "another"})
    with pytest.raises(CardError, match="card_type"):
        reply.update_card({"task_id": "task-1"})
    with pytest.raises(StateError, match="update_card"):
        reply.card(CARD)
    with pytest.raises(StateError, match="only a template_card_event"):
        reply_to(WELCOME).update_card(CARD)
    with pytest.raises(CardError):
        reply_to(WELCOME).card({})
    assert reply.answer is None


def test_words_after_a_card_event_go_out_through_its_response_url():
    reply = reply_to(PRESSED)
    reply.update_card(CARD)
    reply.write("Noted.")
    assert late(reply) == []
    reply.finish()
    request = reply._deliveries.next_request(T0)
    assert request is not None
    assert (request.url, request.expires_at) == (URL, T0 + LIFETIME)
    assert json.loads(request.body) == {"msgtype": "markdown", "markdown": {"content": "Noted."}}
    reply.finish()
    assert late(reply) == []


@pytest.mark.parametrize(("written", "told"), [("", TEXTS.failed), ("```\nHalf", f"```\nHalf\n```\n\n{TEXTS.failed}")])
def test_a_failure_after_a_card_event_is_told(written: str, told: str):
    reply = reply_to(PRESSED)
    reply.write(written)
    reply.fail()
    reply.fail()
    assert late(reply) == [{"msgtype": "markdown", "markdown": {"content": told}}]
    assert answer_of(reply) is None
    assert reply.text == ""


def test_what_is_too_long_for_one_message_says_so():
    welcome, pressed = reply_to(WELCOME), reply_to(PRESSED)
    for reply in (welcome, pressed):
        reply.write("word " * 10_000)
        reply.finish()
    answer = answer_of(welcome)
    assert answer is not None
    for content in (answer["text"]["content"], late(pressed)[0]["markdown"]["content"]):
        assert content.endswith(f"word\n\n{TEXTS.cut}")
        assert len(content.encode()) <= TEXT_LIMIT


def test_what_just_fits_is_not_cut():
    reply = reply_to(WELCOME)
    reply.write("x" * TEXT_LIMIT)
    reply.finish()
    answer = answer_of(reply)
    assert answer is not None
    assert answer["text"]["content"] == "x" * TEXT_LIMIT


def test_every_request_that_waits_gets_the_same_answer():
    reply = reply_to(WELCOME)
    gone = Pending(None, T0 + 4, lambda _: Response(200))
    reply.wait(gone)
    gone.abandon()
    first, second = waiting_request(reply), waiting_request(reply)
    assert len(reply._pending) == 2
    reply.write("Welcome")
    reply.finish()
    assert first == second == [reply.answer]


@pytest.mark.parametrize("missing", ["response_url", "client"])
def test_words_after_a_card_event_are_refused_where_they_could_not_be_sent(missing: str):
    reply = reply_to(PRESSED | {"response_url": ""} if missing == "response_url" else PRESSED)
    reply._deliveries.enabled = missing != "client"
    reason = {"response_url": "no response_url", "client": r"rawbot\[client\]"}
    with pytest.raises(StateError, match=reason[missing]):
        reply.write("important")
    reply.finish()
    assert reply._deliveries.lost == 0


# What follows


def test_one_message_may_follow_a_card_event_that_is_answered():
    reply = reply_to(PRESSED)
    assert isinstance(reply, FollowUp)
    with pytest.raises(StateError, match="finished"):
        reply.follow_up("Noted.")
    reply.update_card(CARD)
    reply.finish()
    with pytest.raises(StateError, match="can be seen"):
        reply.follow_up(" ")
    reply.follow_up("Noted.")
    assert late(reply) == [{"msgtype": "markdown", "markdown": {"content": "Noted."}}]
    with pytest.raises(StateError, match="no response_url"):
        reply.follow_up("Once more.")


def test_a_card_event_whose_handler_had_words_carries_no_more():
    reply = reply_to(PRESSED)
    reply.write("Noted.")
    reply.finish()
    with pytest.raises(StateError, match="no response_url"):
        reply.follow_up("Once more.")
    assert len(late(reply)) == 1


@pytest.mark.parametrize("fields", [WELCOME, FEEDBACK, UNKNOWN], ids=lambda f: f["event"]["eventtype"])
def test_nothing_follows_any_other_event(fields: Json):
    reply = reply_to(fields | {"response_url": URL})
    reply.finish()
    with pytest.raises(StateError, match="nothing may follow"):
        reply.follow_up("Hello again.")
    assert late(reply) == []


def test_what_follows_and_is_too_long_says_so():
    reply = reply_to(PRESSED)
    reply.finish()
    reply.follow_up("word " * 10_000)
    (body,) = late(reply)
    assert body["markdown"]["content"].endswith(TEXTS.cut)
    assert len(body["markdown"]["content"].encode()) <= TEXT_LIMIT


@each_event
def test_only_a_welcome_is_waited_for(fields: Json):
    assert reply_to(fields).awaits_words == (fields is WELCOME)
