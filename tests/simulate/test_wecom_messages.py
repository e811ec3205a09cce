"""rawbot/simulate/wecom_messages.py: the shapes of doc 100719 and 101027, as their samples have them."""

import orjson
import pytest

from rawbot.errors import StateError
from rawbot.simulate import wecom_messages as messages
from rawbot.wecom.messages import File, Image, Mixed, Text, UserMessage, Video, Voice, decode_message

URL = "http://127.0.0.1:1/f?sign=x%2By"

BODIES = [
    (messages.text_body("hi"), Text("hi")),
    (messages.image_body(URL), Image(URL)),
    (messages.voice_body("spoken"), Voice("spoken")),
    (messages.file_body(URL), File(URL)),
    (messages.video_body(URL), Video(URL)),
    (messages.mixed_body([messages.text_body("hi"), messages.image_body(URL)]), Mixed((Text("hi"), Image(URL)))),
]

CARD = {
    "card_type": "vote_interaction",
    "task_id": "T-1",
    "submit_button": {"text": "Send", "key": "send"},
    "action_menu": {"desc": "…", "action_list": [{"text": "Less", "key": "less"}]},
}
BUTTONS = {"card_type": "button_interaction", "task_id": "T-2", "button_list": [{"key": "a"}, {"key": "b"}, "odd", {}]}


def decode(message: dict) -> object:
    return decode_message(orjson.dumps({"msgid": "m", **message}))


@pytest.mark.parametrize(("body", "content"), BODIES)
def test_every_kind_of_body_is_a_message_and_a_quote(body: dict, content: object):
    said = decode(messages.user_message(body, user="lisi"))
    quoting = decode(messages.user_message(messages.text_body("this?"), user="lisi", quote=body))
    assert isinstance(said, UserMessage)
    assert isinstance(quoting, UserMessage)
    assert (said.content, said.quote, said.sender) == (content, None, "lisi")
    assert quoting.quote == content


def test_a_message_tells_the_group_or_that_there_is_none():
    single = messages.user_message(messages.text_body("x"), user="u")
    group = messages.user_message(messages.text_body("x"), user="u", chat="wrCHAT")
    assert single["chattype"] == "single"
    assert "chatid" not in single
    assert (group["chattype"], group["chatid"]) == ("group", "wrCHAT")


def test_a_refresh_keeps_who_and_where_but_not_the_response_url():
    message = messages.user_message(messages.text_body("x"), user="u", chat="c")
    assert messages.refresh(message | {"aibotid": "B", "msgid": "m", "response_url": URL}, "S") == {
        "aibotid": "B",
        "chatid": "c",
        "chattype": "group",
        "from": {"userid": "u"},
        "msgtype": "stream",
        "stream": {"id": "S"},
    }


def test_the_kind_is_that_of_the_event_and_otherwise_message():
    assert messages.kind_of(messages.user_message(messages.text_body("x"), user="u")) == messages.MESSAGE
    assert messages.kind_of(messages.event("something_new", {"x": 1}, user="u")) == "something_new"
    assert messages.kind_of({"msgtype": "event"}) == "event"


def test_enter_chat_has_neither_chattype_nor_payload():
    assert messages.event("enter_chat", user="u", create_time=7) == {
        "create_time": 7,
        "from": {"userid": "u"},
        "msgtype": "event",
        "event": {"eventtype": "enter_chat"},
    }


def test_feedback_says_only_what_the_user_said():
    assert messages.feedback("F", verdict=1) == {"id": "F", "type": 1}
    assert messages.feedback("F", verdict=2, content="no", reasons=[1, 3]) == {
        "id": "F",
        "type": 2,
        "content": "no",
        "inaccurate_reason_list": [1, 3],
    }


def test_a_press_carries_the_card_the_key_and_what_was_chosen():
    event = messages.event("template_card_event", messages.press(CARD, "send", {"q": ["o1", "o2"]}), user="u")
    card_event = decode(event)
    assert (card_event.card_type, card_event.event_key, card_event.task_id) == ("vote_interaction", "send", "T-1")
    assert card_event.selected == {"q": ["o1", "o2"]}
    assert "selected_items" not in messages.press(BUTTONS, "a")


def test_what_can_be_pressed_are_buttons_the_submit_button_and_the_menu():
    assert messages.card_keys(CARD) == ["send", "less"]
    assert messages.card_keys(BUTTONS) == ["a", "b"]
    assert messages.card_keys({}) == []


def test_a_button_that_is_not_there_cannot_be_pressed():
    with pytest.raises(StateError, match="nothing to press"):
        messages.press(BUTTONS, "c")
