"""rawbot/simulate/wecom_conversation.py: what the user sees after each answer, without any IO."""

import base64
from hashlib import md5

import orjson
import pytest
from honest_bot import PNG, stream
from hypothesis import given, settings
from hypothesis import strategies as st

from rawbot.errors import StateError
from rawbot.simulate import wecom_messages as messages
from rawbot.simulate.wecom_conversation import FALLBACK_TEXT, Conversation

IMAGE = {"msgtype": "image", "image": {"base64": base64.b64encode(PNG).decode(), "md5": md5(PNG).hexdigest()}}
CARD = {"card_type": "button_interaction", "task_id": "T", "button_list": [{"text": "Yes", "key": "yes"}]}
DONE_CARD = {"card_type": "text_notice", "task_id": "T", "main_title": {"title": "Done"}}


def message(chat: str | None = None) -> Conversation:
    return Conversation(messages.user_message(messages.text_body("hi"), user="u", chat=chat))


def event(name: str) -> Conversation:
    return Conversation(messages.event(name, user="u"))


def pressed(card: dict) -> Conversation:
    payload = messages.press(card, "yes")
    return Conversation(messages.event("template_card_event", payload, user="u"), card=card)


def card_reply(card: dict, **more: object) -> dict:
    return {"msgtype": "template_card", "template_card": card, **more}


def update(card: dict, **more: object) -> dict:
    return {"response_type": "update_template_card", "template_card": card, **more}


def receive(conversation: Conversation, *replies: dict) -> Conversation:
    for at, reply in enumerate(replies):
        conversation.receive(reply, at)
    return conversation


def post(conversation: Conversation, value: object, at: float = 1.0) -> int:
    return conversation.receive_active(orjson.dumps(value), at)[0]


def markdown(content: object) -> dict:
    return {"msgtype": "markdown", "markdown": {"content": content}}


def test_each_answer_takes_the_place_of_the_one_before():
    conversation = message()
    assert conversation.state == "sent"
    conversation.receive(stream("", feedback={"id": "F"}), 0.01)
    assert (conversation.state, conversation.shown) == ("streaming", "")
    conversation.receive(stream("1"), 1.0)
    assert conversation.shown == "1"
    frame = conversation.receive(stream("123é", finish=True), 2.0)
    assert (conversation.shown, conversation.finished, conversation.streaming) == ("123é", True, False)
    assert (frame.at, frame.content, frame.finish, frame.size) == (2.0, "123é", True, 5)
    assert [f.content for f in conversation.frames] == ["", "1", "123é"]
    assert (conversation.first_answer, conversation.frames[0].feedback_id) == (0.01, "F")
    assert (conversation.problems, conversation.notes) == ([], [])


def test_an_answer_may_be_complete_at_once():
    assert receive(message(), stream("all", finish=True)).finished


def test_what_is_too_long_is_cut_and_blamed():
    conversation = receive(message(), stream("a" * 20479 + "é", finish=True))
    assert conversation.shown == "a" * 20479
    assert conversation.problems == ["content has 20481 bytes; what is beyond 20480 is cut off"]


def test_a_later_answer_need_not_repeat_the_stream_id_but_must_not_change_it():
    again = stream("b")
    del again["stream"]["id"]
    assert receive(message(), stream("a"), again).problems == []
    conversation = receive(message(), stream("a"), stream("b", stream_id="S2", finish=True))
    assert conversation.problems == ["the stream id changed"]
    assert (conversation.stream_id, conversation.shown) == ("S1", "b")


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ({"msgtype": "stream"}, "stream.id is missing, or no string: no refresh can follow"),
        (stream("a", stream_id=""), "stream.id is missing, or no string: no refresh can follow"),
        (stream("a", stream_id=5), "stream.id is missing, or no string: no refresh can follow"),
        (stream(None), "stream.content is not a string, or stream.finish not a boolean"),
        (stream("a", finish="true"), "stream.content is not a string, or stream.finish not a boolean"),
        ({"msgtype": "text", "text": {"content": "a"}},
         "message was answered with text; allowed: stream, template_card, stream_with_template_card"),
        ({}, "the message got an empty answer: no stream is opened and the user sees nothing"),
        ({"msgtype": "template_card"}, "template_card is missing, or no object"),
    ],
)  # fmt: skip
def test_a_message_without_a_usable_answer_is_over(reply: dict, problem: str):
    conversation = receive(message(), reply)
    assert conversation.problems == [problem]
    assert (conversation.state, conversation.shown, conversation.frames) == ("unanswered", "", [])


def test_a_useless_answer_to_a_refresh_leaves_the_bubble_as_it_is():
    conversation = receive(message(), stream("a"), {}, {})
    assert conversation.problems == ["a refresh got an empty answer"]  # the sentence once
    assert (conversation.streaming, conversation.shown) == (True, "a")
    conversation.receive_nothing()
    assert conversation.streaming


def test_text_must_not_vanish():
    conversation = receive(message(), stream("a"), stream(""))
    assert (conversation.shown, conversation.problems) == ("", ["text that was shown became empty"])


def test_nobody_answers_what_was_not_asked():
    for conversation in (receive(message(), stream("a", finish=True)), receive(message(), {})):
        with pytest.raises(StateError, match=conversation.state):
            conversation.receive(stream("b"), 3.0)
        with pytest.raises(StateError, match="time is up"):
            conversation.expire()


def test_six_minutes_end_a_stream_with_what_was_shown():
    conversation = receive(message(), stream("half"))
    assert (conversation.overdue(359.9), conversation.overdue(360.0)) == (False, True)
    conversation.expire()
    assert (conversation.state, conversation.shown, conversation.finished) == ("expired", "half", False)
    assert conversation.problems == ["the stream was not finished within six minutes"]


def test_six_minutes_without_a_word_end_in_the_platforms_own():
    conversation = receive(message(), stream("<think></think>"))
    conversation.expire()
    assert conversation.shown == FALLBACK_TEXT


def test_images_count_in_the_last_frame_only():
    conversation = receive(message(), stream("a", msg_item=[IMAGE]))
    assert (conversation.images, conversation.frames[0].msg_items) == ([], 1)
    assert conversation.notes == ["msg_item came before the last frame, where it is ignored"]
    receive(conversation, stream("a", finish=True, msg_item=[IMAGE, {}]))
    assert conversation.images == [PNG]
    assert conversation.problems == ["image 2: not of the form {msgtype: image, image: {…}}"]


def test_an_image_list_that_is_none_is_blamed():
    conversation = receive(message(), stream("a", finish=True, msg_item={"x": 1}))
    assert (conversation.frames[0].msg_items, conversation.problems) == (0, ["msg_item is not a list"])


def test_feedback_counts_in_the_first_frame_only():
    conversation = receive(message(), stream("a"), stream("b", feedback={"id": "F"}))
    assert [frame.feedback_id for frame in conversation.frames] == ["", ""]
    assert conversation.notes == ["feedback came after the first reply, where it is ignored"]
    assert receive(message(), stream("a", feedback="F")).problems == ["feedback.id is not a string of 1 to 256 bytes"]


def test_a_card_may_be_the_answer():
    conversation = receive(message(), card_reply(CARD | {"feedback": {"id": "F"}}))
    assert (conversation.finished, conversation.problems) == (True, [])
    assert conversation.cards == [conversation.frames[0].card]
    assert conversation.frames[0].feedback_id == "F"


def test_a_card_may_come_once_with_a_stream():
    both = stream("a") | card_reply(CARD, msgtype="stream_with_template_card")
    conversation = receive(message(), stream("a"), both)
    assert (conversation.cards, conversation.problems) == ([CARD], [])
    receive(conversation, both)
    assert (conversation.cards, conversation.problems) == ([CARD], ["a card was sent twice in one stream"])


def test_a_bad_card_is_shown_and_blamed():
    assert receive(message(), card_reply({"card_type": "x"})).problems == ["card_type is none of the five"]


def test_the_welcome_is_a_text_or_a_card_or_nothing():
    said = receive(event("enter_chat"), {"msgtype": "text", "text": {"content": "welcome"}})
    assert (said.shown, said.finished, said.problems) == ("welcome", True, [])
    shown = receive(event("enter_chat"), card_reply(CARD))
    assert (shown.cards, shown.finished) == ([CARD], True)
    assert receive(event("enter_chat"), {}).finished


@pytest.mark.parametrize("text", [None, {"content": 5}])
def test_a_welcome_without_text_is_blamed(text: object):
    conversation = receive(event("enter_chat"), {"msgtype": "text", "text": text})
    assert (conversation.problems, conversation.state) == (["text.content is not a string"], "unanswered")


@pytest.mark.parametrize("name", ["enter_chat", "feedback_event", "something_new", "template_card_event"])
def test_an_event_opens_no_stream(name: str):
    conversation = receive(event(name), stream("a"))
    assert (conversation.state, conversation.shown, len(conversation.problems)) == ("unanswered", "", 1)


def test_an_update_changes_the_card_that_was_pressed():
    card = dict(CARD)
    conversation = receive(pressed(card), update(DONE_CARD))
    assert (card, conversation.finished, conversation.problems) == (DONE_CARD, True, [])
    assert conversation.frames[0].card == DONE_CARD


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (update(DONE_CARD | {"task_id": "U"}), "has another task_id than the card that was pressed"),
        (update(None), "has no template_card"),
    ],
)
def test_an_update_of_something_else_changes_nothing(reply: dict, problem: str):
    card = dict(CARD)
    assert receive(pressed(card), reply).problems == [f"update_template_card {problem}"]
    assert card == CARD


def test_an_update_may_be_for_some_users():
    mine, theirs = dict(CARD), dict(CARD)
    receive(pressed(mine), update(DONE_CARD, userids=["u", "v"]))
    conversation = receive(pressed(theirs), update(DONE_CARD, userids=["v"]))
    assert (mine, theirs) == (DONE_CARD, CARD)
    assert conversation.notes == ["the update is for other users than the one who pressed"]
    assert (conversation.finished, conversation.problems) == (True, [])


def test_an_active_message_is_shown_below_once():
    conversation = receive(message(), stream("a", finish=True))
    assert post(conversation, markdown("the rest")) == 0
    assert (conversation.active_messages, conversation.problems) == ([markdown("the rest")], [])
    assert post(conversation, markdown("more")) == 40029
    assert conversation.active_messages == [markdown("the rest")]
    assert conversation.problems == ["response_url: it was used twice"]


def test_an_active_card_is_for_single_chats():
    single, group = message(), message("wrCHAT")
    assert (post(single, card_reply({"card_type": "x"})), post(group, card_reply(CARD))) == (0, 40008)
    assert (single.cards, single.problems) == ([{"card_type": "x"}], ["card_type is none of the five"])
    assert (group.cards, group.problems) == ([], ["response_url: a card is allowed in single chats only"])


def test_an_active_card_does_not_count_as_the_streams():
    conversation = receive(message(), stream("a"))
    post(conversation, card_reply(CARD))
    receive(conversation, stream("a", finish=True) | card_reply(CARD, msgtype="stream_with_template_card"))
    assert (conversation.cards, conversation.problems) == ([CARD, CARD], [])


@pytest.mark.parametrize(
    ("value", "code", "problem"),
    [
        ([], 40008, "what was posted is not a plain JSON object (it must not be encrypted)"),
        ({"encrypt": "x"}, 40008, "what was posted is not a plain JSON object (it must not be encrypted)"),
        (stream("a"), 40008, "what was posted is neither markdown nor template_card"),
        (update(CARD), 40008, "what was posted is neither markdown nor template_card"),
        (card_reply(None), 40008, "what was posted is neither markdown nor template_card"),
        (markdown("\u200b"), 44004, "the markdown shows nothing"),
        ({"msgtype": "markdown"}, 44004, "the markdown shows nothing"),
        (markdown("é" * 10241), 40058, "the markdown has 20482 bytes; the limit is 20480"),
    ],
)
def test_a_bad_active_message_is_refused_and_leaves_the_url_unused(value: object, code: int, problem: str):
    conversation = message()
    assert post(conversation, value) == code
    assert conversation.problems == [f"response_url: {problem}"]
    assert post(conversation, markdown("a" * 20480)) == 0


def test_an_active_message_must_be_json_and_in_time():
    conversation = message()
    assert conversation.receive_active(b"not json", 1.0) == (40008, "what was posted is not JSON")
    assert post(conversation, markdown("late"), at=3600.1) == 40029
    assert conversation.problems[1] == "response_url: it was used after its hour"


def test_neither_conversation_nor_frame_repeats_what_was_said():
    conversation = receive(message(), stream("secret words", finish=True))
    assert repr(conversation) == "<Conversation message finished, 1 frames, 0 problems>"
    assert "secret" not in repr(conversation.frames)


def test_repeats_are_compared_without_being_shown():
    conversation = message()
    conversation.receive_repeat(stream("a"), stream("b", stream_id="S2"))
    assert conversation.problems == ["a repeated delivery got another stream id than the first"]
    assert (conversation.state, conversation.frames) == ("sent", [])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
TYPES = st.sampled_from(["text", "stream", "template_card", "stream_with_template_card", "update_template_card", "x"])
BODIES = JSON | st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("id", "finish", "content", "msg_item", "feedback", "task_id", "card_type"), JSON)
)
REPLIES = st.fixed_dictionaries(
    {}, optional={"msgtype": TYPES | JSON, "stream": BODIES, "template_card": BODIES, "text": BODIES, "userids": JSON}
)


@settings(deadline=None, max_examples=60)
@given(st.lists(REPLIES, min_size=1, max_size=4), st.sampled_from(["message", "enter_chat", "template_card_event"]))
def test_whatever_a_bot_says_is_judged_and_never_raises(replies: list[dict], kind: str):
    conversation = message() if kind == "message" else pressed(dict(CARD)) if kind != "enter_chat" else event(kind)
    for at, reply in enumerate(replies):
        conversation.receive_active(orjson.dumps(reply), at)
        if conversation.state in ("sent", "streaming"):
            conversation.receive(reply, at)
    assert conversation.first_answer == 0
    assert isinstance(conversation.shown, str)
