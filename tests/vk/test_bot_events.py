"""rawbot/vk/bot_events.py: what the bot is told of each kind of event."""

import orjson
import pytest
from fake_endpoint import FakeReply
from vk_samples import CHAT, EVENT_ID, GROUP, OBJECTS, PHOTO, T0, USER, Json, envelope, message, new_message, recorded

from rawbot.event import MESSAGE, Event
from rawbot.vk.bot_events import kind_of, make_event, peer_of, sender_of
from rawbot.vk.event_types import EVENT_TYPES
from rawbot.vk.messages import decode_envelope, decode_object
from rawbot.vk.objects import MessageEvent, VKMessage


def told(event_type: str = "message_new", value: Json | None = None, **more: object) -> Event:
    happened = envelope(event_type, value, **more)
    about = decode_object(happened)
    return make_event(happened, about, FakeReply(), T0, peer_id=peer_of(about))


def test_a_message_is_told_as_on_every_channel():
    event = told(value=new_message("привет"))
    assert (event.kind, event.platform, event.text) == (MESSAGE, "vk", "привет")
    assert (event.chat, event.sender, event.bot, event.group) == (f"{GROUP}/{USER}", str(USER), str(GROUP), "")
    assert (event.message_id, event.in_flight, event.payload) == ("304", 1, None)
    assert (event.quoted, event.reply_to, event.attachments) == ("", "", [])
    assert isinstance(event.message, VKMessage)


def test_in_a_chat_the_conversation_is_the_chat():
    event = told(value=new_message(peer_id=CHAT))
    assert (event.chat, event.group, event.sender) == (f"{GROUP}/{CHAT}", str(CHAT), str(USER))


def test_the_old_shape_of_a_message_is_told_the_same():
    new, old = told(value=new_message("привет")), told(value=message("привет"))
    for name in ("kind", "chat", "sender", "text", "message_id", "bot", "group"):
        assert getattr(new, name) == getattr(old, name)


def test_files_come_with_the_message_and_with_the_one_that_it_quotes():
    photo = {"type": "photo", "photo": PHOTO}
    event = told(value=new_message(attachments=[photo], reply_message=message(attachments=[photo])))
    assert [attachment.kind for attachment in event.attachments] == ["image", "image"]
    assert event.attachments[0].expires_at == T0 + 3600


@pytest.mark.parametrize(
    ("quoted", "expected"),
    [
        ({"text": "раньше", "conversation_message_id": 7, "id": 9}, ("раньше", "7")),
        ({"text": "раньше", "id": 9}, ("раньше", "9")),
        ({}, ("", "")),
        ({"text": 5, "id": "9"}, ("", "")),
        ({"id": True}, ("", "")),
        (None, ("", "")),
        ([1], ("", "")),
    ],
)
def test_what_it_quotes_is_told_as_far_as_it_can_be_read(quoted: object, expected: tuple[str, str]):
    event = told(value=new_message(reply_message=quoted))
    assert (event.quoted, event.reply_to) == expected


def test_an_edited_message_is_no_message_but_has_its_words():
    event = told("message_edit")
    assert (event.kind, event.text) == ("message_edit", "привет")
    assert event.payload == OBJECTS["message_edit"]


def test_a_pressed_button_is_told_by_its_own_id():
    event = told("message_event")
    assert (event.kind, event.chat, event.sender) == ("message_event", f"{GROUP}/{CHAT}", str(USER))
    assert (event.message_id, event.text) == ("1776a756b921", "")
    assert isinstance(event.message, MessageEvent)
    assert event.payload == OBJECTS["message_event"]


def test_a_comment_has_its_words_and_is_answered_in_its_writers_dialog():
    event = told("wall_reply_new")
    assert (event.kind, event.text, event.sender) == ("wall_reply_new", "хорошо", str(USER))
    assert (event.chat, event.message_id) == (f"{GROUP}/{USER}", EVENT_ID)


def test_what_a_community_has_written_is_answered_in_no_dialog():
    comment = dict(OBJECTS["wall_reply_new"], from_id=-GROUP)
    event = told("wall_reply_new", comment)
    assert (event.sender, event.chat) == (str(-GROUP), "")


@pytest.mark.parametrize(
    ("event_type", "sender", "peer"),
    [
        ("group_join", USER, USER),
        ("group_leave", USER, USER),
        ("like_add", USER, USER),
        ("message_allow", USER, USER),
        ("message_deny", USER, USER),
        ("message_read", USER, USER),
        ("message_typing_state", USER, USER),
        ("message_reaction_event", USER, CHAT),
        ("poll_vote_new", USER, USER),
        ("user_block", 7, 7),
        ("group_officers_edit", 7, 7),
        ("wall_post_new", USER, USER),
        ("vkpay_transaction", USER, USER),
        ("donut_subscription_create", USER, USER),
        ("donut_money_withdraw", 0, 0),
        ("photo_new", 0, 0),
        ("wall_schedule_post_new", 0, 0),
    ],
)
def test_who_did_it_and_where_an_answer_goes(event_type: str, sender: int, peer: int):
    about = decode_object(envelope(event_type))
    assert (sender_of(about), peer_of(about)) == (sender, peer)


@pytest.mark.parametrize("actor", [True, "5", None, 2**63, 1.0])
def test_an_actor_that_is_no_id_is_nobody(actor: object):
    about = decode_object(envelope("message_allow", {"user_id": actor, "peer_id": actor}))
    assert (sender_of(about), peer_of(about)) == (0, 0)


def test_an_event_that_calls_itself_message_is_none():
    assert kind_of(envelope("message", {})) == "event"
    assert kind_of(envelope("message_new")) == MESSAGE
    assert kind_of(envelope("brand_new", {})) == "brand_new"


@pytest.mark.parametrize("event_type", sorted(EVENT_TYPES))
def test_every_known_event_can_be_told(event_type: str):
    event = told(event_type)
    assert event.bot == str(GROUP)
    assert event.kind == (MESSAGE if event_type == "message_new" else event_type)
    assert (event.payload is None) == (event_type == "message_new")


def test_every_recorded_event_can_be_told():
    for vector in recorded():
        body = vector["body"]
        if isinstance(body, dict) and isinstance(body.get("group_id"), int) and "object" in body:
            happened = decode_envelope(orjson.dumps(body))
            about = decode_object(happened)
            event = make_event(happened, about, FakeReply(), T0, peer_id=peer_of(about))
            assert event.chat in ("", f"{happened.group_id}/{peer_of(about)}")
