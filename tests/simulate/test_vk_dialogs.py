"""rawbot/simulate/vk_dialogs.py and vk_events.py."""

import pytest

from rawbot.errors import StateError
from rawbot.simulate.vk_dialogs import RANDOM_ID_KEPT, Dialog, find_button, payload_text, payload_value
from rawbot.simulate.vk_events import VKEvent, confirmation, document_attachment

CHAT = 2_000_000_001
NOW = 1_700_000_000.0


def test_numbers_count_within_the_dialog_and_chats_have_no_others():
    private, chat = Dialog(100), Dialog(CHAT)
    assert [(m.id, m.conversation_message_id) for m in (private.add(100, 7, NOW), private.add(-5, 9, NOW))] == [
        (7, 1),
        (9, 2),
    ]
    message = chat.add(100, 10, NOW, "hi")
    assert (message.id, message.conversation_message_id, message.peer_id, message.from_id) == (0, 1, CHAT, 100)


def test_a_message_is_found_by_either_number_and_0_is_none():
    dialog = Dialog(CHAT)
    message = dialog.add(100, 10, NOW)
    assert dialog.find(conversation_message_id=1) is message
    assert dialog.find(message_id=0, conversation_message_id=0) is None
    assert dialog.find(conversation_message_id=2) is None


def test_only_the_bots_own_random_ids_are_remembered():
    dialog = Dialog(100)
    dialog.add(100, 1, NOW).random_id = 5
    own = dialog.add(-7, 2, NOW)
    own.random_id, own.outgoing = 6, True
    assert dialog.find_repeated(5, NOW) is None
    assert dialog.find_repeated(6, NOW + RANDOM_ID_KEPT - 1) is own
    assert dialog.find_repeated(6, NOW + RANDOM_ID_KEPT) is None
    assert dialog.find_repeated(0, NOW) is None


def test_an_edited_message_tells_when_and_has_another_version():
    message = Dialog(100).add(-7, 1, NOW, "a")
    before = message.object()
    message.edits.append("a")
    message.updated_at = NOW + 5
    after = message.object()
    assert "update_time" not in before
    assert after["update_time"] == int(NOW) + 5
    assert after["version"] > before["version"]


@pytest.mark.parametrize(
    ("payload", "text", "value"),
    [
        ({"a": 1}, '{"a":1}', {"a": 1}),
        ('{"a":1}', '{"a":1}', {"a": 1}),
        ("not JSON", "not JSON", "not JSON"),
        ("", "", ""),
    ],
)
def test_a_payload_is_a_string_in_messages_and_json_in_events(payload: object, text: str, value: object):
    assert payload_text({"payload": payload}) == text
    assert payload_value({"payload": payload}) == value


def test_a_message_without_a_keyboard_has_no_buttons():
    message = Dialog(100).add(-7, 1, NOW)
    assert message.buttons() == []
    with pytest.raises(StateError):
        find_button(message, "Go")


def test_nothing_that_was_written_is_in_a_repr():
    message = Dialog(100).add(-7, 1, NOW, "a secret of the user's")
    event = VKEvent("message_new", 7, {"message": message.object()}, "ab")
    assert "secret" not in repr(message) + repr(event)


def event(event_type: str, about: dict) -> VKEvent:
    return VKEvent(event_type, 7, about, "ab" * 20)


@pytest.mark.parametrize(
    ("version", "shape"),
    [
        ("5.81", {"text": "hi"}),
        ("5.102", {"text": "hi"}),
        ("5.103", {"message": {"text": "hi"}, "client_info": {}}),
        ("5.198", {"message": {"text": "hi"}, "client_info": {}}),
        ("5.199", {"message": {"text": "hi", "version": 1}, "client_info": {}}),
        ("5.200", {"message": {"text": "hi", "version": 1}, "client_info": {}}),
    ],
)
def test_a_new_message_has_the_shape_of_the_version(version: str, shape: dict):
    about = {"message": {"text": "hi", "version": 1}, "client_info": {}}
    assert event("message_new", about).object_for(version) == shape


def test_a_reply_is_bare_at_every_version():
    about = {"text": "hi", "version": 1}
    assert event("message_reply", about).object_for("5.199") == about
    assert event("message_reply", about).object_for("5.131") == {"text": "hi"}


def test_other_objects_are_the_same_at_every_version():
    about = {"user_id": 1, "version": 2}
    assert event("group_join", about).object_for("5.81") is about


def test_an_update_of_long_poll_has_no_secret_and_its_object_last():
    assert list(event("group_join", {}).envelope("5.199")) == ["group_id", "type", "event_id", "v", "object"]
    assert list(event("group_join", {}).envelope("5.199", "s"))[-1] == "secret"


def test_a_confirmation_has_a_secret_only_where_there_is_one():
    assert confirmation(7, "") == {"type": "confirmation", "group_id": 7}
    assert confirmation(7, "s")["secret"] == "s"


def test_a_document_is_named_with_its_ending():
    doc = document_attachment("http://x/", owner_id=1, doc_id=2, name="a.b.pdf", size=3, date=4)["doc"]
    assert (doc["title"], doc["ext"], doc["owner_id"], doc["id"]) == ("a.b.pdf", "pdf", 1, 2)
