"""Published and recorded bodies, from the envelope to the typed object: each says what its JSON says.

`{name, source, body}`: the shared ones where they are at hand, and one of our own for every known type.
"""

import json

import pytest
import vk_samples as vk

from rawbot.errors import ProtocolError
from rawbot.vk.attachments import attachments_of
from rawbot.vk.event_types import CHANGES, COMMENTS, EVENT_TYPES, MESSAGES
from rawbot.vk.messages import Envelope, decode_envelope, decode_object, decode_update, dedupe_key
from rawbot.vk.objects import Comment, Like, Membership, MessageEvent, Raw, VKMessage
from rawbot.vk.user_events import decode_user_update
from rawbot.vk.user_objects import (
    Counter,
    FlagsChanged,
    MessagesRead,
    MessageUpdate,
    NewMessage,
    Presence,
    RawUpdate,
    UserEvent,
)

RECORDED = vk.recorded()
OWN_TUPLES = [[4, 5, 1, vk.USER, vk.T0, "a", {}, {}, 0], [8, -5, 7, vk.T0], [80, 1, 0], [2, 5, 128, 7], [505, 1]]
OWN = [{"name": f"own/{name}", "body": vk.callback(name)} for name in sorted(vk.OBJECTS)]
OWN += [{"name": "own/update", "body": {"ts": "1", "updates": [vk.update()]}}]
OWN += [{"name": f"own/tuple_{update[0]}", "body": update} for update in OWN_TUPLES]

ENTRIES = [*RECORDED, *OWN]
UPDATES = [
    (f"{entry['name']}.{number}", update)
    for entry in ENTRIES
    if isinstance(entry["body"], dict)
    for number, update in enumerate(entry["body"].get("updates", []))
]
EVENTS = [
    (entry["name"], entry["body"]) for entry in ENTRIES if "type" in entry["body"] and "group_id" in entry["body"]
]
TUPLES = [(entry["name"], entry["body"]) for entry in ENTRIES if isinstance(entry["body"], list)]
HISTORY = "api-reply/messages.getLongPollHistory"
TUPLES += [
    (f"{HISTORY}.{number}", update)
    for entry in ENTRIES
    if entry["name"] == HISTORY
    for number, update in enumerate(entry["body"]["response"]["history"])
]
NO_EVENTS = [e for e in ENTRIES if isinstance(e["body"], dict) and not {"type", "updates"} <= e["body"].keys()]
NO_EVENTS = [e for e in NO_EVENTS if (e["name"], e["body"]) not in EVENTS and "type" not in e["body"]]

each_event = pytest.mark.parametrize(
    ("name", "body"), EVENTS, ids=lambda value: value if isinstance(value, str) else ""
)
each_update = pytest.mark.parametrize(
    ("name", "update"), UPDATES, ids=lambda value: value if isinstance(value, str) else ""
)
each_tuple = pytest.mark.parametrize(
    ("name", "update"), TUPLES, ids=lambda value: value if isinstance(value, str) else ""
)


def test_all_of_them_are_looked_at():
    looked_at = {name for name, _ in (*EVENTS, *TUPLES)} | {name.rpartition(".")[0] for name, _ in (*UPDATES, *TUPLES)}
    looked_at |= {entry["name"] for entry in NO_EVENTS} | {"fixture/message_new.vkbottle_no_group_id"}
    assert {entry["name"] for entry in ENTRIES} <= looked_at
    assert len(RECORDED) in (0, 80)


def check(envelope: Envelope, body: dict) -> None:
    """Compare every field with the JSON, found in the vendor's way."""
    assert (envelope.type, envelope.group_id) == (body["type"], body["group_id"])
    assert envelope.event_id == str(body.get("event_id", ""))
    assert envelope.v == body.get("v", "")
    assert envelope.object == body.get("object", {})
    assert envelope.raw == body
    assert (dedupe_key(envelope) == (body["group_id"], envelope.event_id)) == ("event_id" in body)
    decoded = decode_object(envelope)
    if isinstance(decoded, Raw):
        assert (decoded.type, decoded.object) == (body["type"], envelope.object)
        return
    value = body["object"].get("message", body["object"])
    assert decoded.raw == value
    CHECKS[type(decoded)](decoded, value, body["type"])


def check_message(message: VKMessage, value: dict, event_type: str) -> None:
    assert event_type in MESSAGES
    for field in ("id", "peer_id", "date", "conversation_message_id", "random_id", "version", "update_time"):
        assert getattr(message, field) == value.get(field, 0), field
    assert (message.sender, message.text, message.out) == (value["from_id"], value["text"], value.get("out", 0) == 1)
    assert message.attachments == value.get("attachments", [])
    assert [quoted.raw for quoted in message.fwd_messages] == value.get("fwd_messages", [])
    assert message.admin_author_id == value.get("admin_author_id", 0)


def check_button(event: MessageEvent, value: dict, event_type: str) -> None:
    assert event_type == "message_event"
    assert (event.user_id, event.peer_id, event.event_id) == (value["user_id"], value["peer_id"], value["event_id"])
    assert event.payload == json.loads(event.payload_text) == value["payload"]
    assert event.conversation_message_id == value["conversation_message_id"]


def check_comment(comment: Comment, value: dict, event_type: str) -> None:
    assert event_type == f"{comment.place}_{comment.change}"
    assert comment.place in COMMENTS
    assert comment.change in CHANGES
    assert (comment.id, comment.text, comment.date) == (value["id"], value.get("text", ""), value.get("date", 0))
    owner, parent = vk.PARENTS[comment.place]
    assert comment.owner_id == value.get(owner, value.get("owner_id"))
    assert comment.object_id == value[parent]
    assert comment.deleter_id == value.get("deleter_id", 0)


def check_like(like: Like, value: dict, event_type: str) -> None:
    assert like.added == (event_type == "like_add")
    for field in ("liker_id", "object_type", "object_owner_id", "object_id", "thread_reply_id"):
        assert getattr(like, field) == value[field]


def check_membership(membership: Membership, value: dict, event_type: str) -> None:
    assert membership.joined == (event_type == "group_join")
    assert (membership.user_id, membership.join_type) == (value["user_id"], value.get("join_type", ""))
    assert membership.by_self == (value.get("self") == 1)


CHECKS = {
    VKMessage: check_message,
    MessageEvent: check_button,
    Comment: check_comment,
    Like: check_like,
    Membership: check_membership,
}


@each_event
def test_a_callback_says_what_its_json_says(name: str, body: dict):
    envelope = decode_envelope(vk.encode(body))
    check(envelope, body)
    assert envelope.secret == body.get("secret")
    assert body["type"] in EVENT_TYPES or "future" in name


@each_event
def test_it_says_the_same_with_its_keys_turned_round(name: str, body: dict):
    turned = dict(reversed(body.items()))
    assert decode_envelope(vk.encode(turned)) == decode_envelope(vk.encode(body)), name


@each_event
def test_it_says_the_same_as_an_update_of_long_poll(name: str, body: dict):
    envelope = decode_update(body, body["group_id"])
    check(envelope, body)
    assert envelope.secret is None, name


@each_update
def test_an_update_says_what_its_json_says(name: str, update: dict):
    check(decode_update(update, update["group_id"]), update)
    assert decode_update(update, update["group_id"]).secret is None, name


def test_an_update_without_a_group_is_of_the_group_that_polls():
    bodies = [entry["body"] for entry in RECORDED if entry["name"].endswith("no_group_id")] or [vk.update()]
    for body in bodies:
        nameless = {key: value for key, value in body.items() if key != "group_id"}
        envelope = decode_update(nameless, vk.GROUP)
        assert envelope.raw == nameless
        envelope.raw = nameless | {"group_id": vk.GROUP}
        check(envelope, envelope.raw)


@pytest.mark.parametrize("entry", NO_EVENTS or [{"name": "own/failed", "body": {"failed": 2}}], ids=lambda e: e["name"])
def test_what_is_no_event_is_refused(entry: dict):
    with pytest.raises(ProtocolError):
        decode_envelope(vk.encode(entry["body"]))


def test_the_files_of_a_recorded_message_are_its_own_and_those_that_it_forwards():
    for entry in RECORDED:
        if entry["name"] == "captured/message_new":
            message = decode_object(decode_envelope(vk.encode(entry["body"])))
            files = attachments_of(message, 0.0)
            assert [file.url.rpartition("/")[2] for file in files] == ["nmakgKHhLi8.jpg", "fmZMqDUIzzg.jpg"]


CODES: dict[int, type[UserEvent]] = {
    2: FlagsChanged,
    3: FlagsChanged,
    4: NewMessage,
    7: MessagesRead,
    8: Presence,
    9: Presence,
    80: Counter,
    505: RawUpdate,
}


@each_tuple
def test_an_update_of_user_long_poll_is_of_its_codes_type(name: str, update: list):
    event = decode_user_update(update)
    assert type(event) is CODES[update[0]], name
    assert (event.code, event.raw) == (update[0], update)
    if isinstance(event, MessageUpdate):
        assert [event.message_id, event.flags, event.peer_id] == update[1:4]
    elif isinstance(event, Presence):
        assert (event.user_id, event.online) == (abs(update[1]), update[0] == 8)
    elif isinstance(event, MessagesRead):
        assert [event.peer_id, event.local_id] == update[1:3]
    elif isinstance(event, Counter):
        assert event.count == update[1]


def test_the_recorded_message_of_user_long_poll_says_who_wrote_it():
    for entry in RECORDED:
        if entry["name"] == "user-longpoll/event_4":
            event = decode_user_update(entry["body"])
            assert isinstance(event, NewMessage)
            assert (event.text, event.sender, event.date) == ("Всем привет я тест", 253866502, 1582466146)
            assert event.attachments["fwd"] == "0_0"
