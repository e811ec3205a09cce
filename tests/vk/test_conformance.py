"""What VK's pages demand of a callback server, and what the servers of others get wrong: one test for each point.

Source: VK, Callback API (dev.vk.com/ru/api/callback/getting-started) and community events
(dev.vk.com/ru/api/community-events/json-schema). Over sockets: test_conformance_http.py; hours of retries:
test_conformance_schedule.py.
"""

import itertools
import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_journal import MemoryJournal
from vk_platform import Door
from vk_samples import (
    CHAT,
    GROUP,
    SECRET,
    USER,
    button,
    callback,
    encode,
    message,
    new_message,
    recorded,
)

from rawbot.vk.event_types import EVENT_TYPES
from rawbot.vk.objects import MessageEvent, VKMessage
from rawbot.vk.settings import VKGroup

OTHER = GROUP + 1
TWO = {GROUP: VKGroup(secret="one"), OTHER: VKGroup(secret="two")}


def body(number: int = 1, **more: object) -> dict[str, object]:
    return callback(value=new_message(cmid=number)) | {"event_id": f"{number:040x}", **more}


def without(fields: dict[str, object], name: str) -> dict[str, object]:
    return {key: value for key, value in fields.items() if key != name}


# The envelope


def test_keys_may_come_in_any_order():
    whole = body()
    for names in itertools.permutations(["group_id", "type", "object", "secret", "event_id"]):
        door = Door()
        door.take({name: whole[name] for name in (*names, "v")})
        door.repeat(whole)


def test_the_orders_of_2020_and_of_today_are_the_same_event():
    whole = body()
    door = Door()
    door.take({name: whole[name] for name in ("group_id", "type", "event_id", "v", "object", "secret")})
    door.repeat({name: whole[name] for name in ("type", "object", "group_id", "event_id", "secret")})


@pytest.mark.parametrize("event_id", [12345, "12345", "2e0cd793ca2c4c41b511dd8d97500523a7fc1b16"])
def test_an_event_id_may_be_a_number_or_a_string(event_id: object):
    door = Door()
    door.take(body(event_id=event_id))
    door.repeat(body(event_id=str(event_id)))


def test_a_body_of_2018_has_neither_event_id_nor_version():
    old = {"type": "message_new", "group_id": GROUP, "object": message(), "secret": SECRET}
    door = Door()
    assert door.take(old).text == "привет"
    door.repeat(old)
    door.take(old | {"object": message(cmid=305)})


@pytest.mark.parametrize("event_id", [True, 1.5, [], {}, "x" * 129])
def test_what_cannot_name_an_event_is_refused(event_id: object):
    assert Door().post(body(event_id=event_id)).status == 400


@pytest.mark.parametrize("group_id", [str(GROUP), True, float(GROUP), 2**63, 2**64, 10**40, -GROUP, 0, None, [], {}])
def test_a_community_is_a_positive_integer_and_nothing_that_looks_like_one(group_id: object):
    door = Door(unknown="ok_and_drop")
    assert door.post(body(group_id=group_id)).status == 400
    assert door.post(callback("confirmation", group_id=group_id)).status == 400
    assert door.events == []


def test_an_event_of_no_community_is_refused():
    assert Door().post(without(body(), "group_id")).status == 400


@pytest.mark.parametrize("name", ["type", "object"])
def test_an_event_without_a_type_or_an_object_is_refused_at_once_and_not_later(name: str):
    door = Door()
    assert door.post(without(body(), name)).status == 400
    assert door.events == []


def test_types_that_nobody_knows_are_taken():
    event = Door().take(callback("brand_new_event", {"a": [1, None]}, event_id="n"))
    assert (event.kind, event.payload) == ("brand_new_event", {"a": [1, None]})


@pytest.mark.parametrize("event_type", sorted(EVENT_TYPES - {"confirmation", "message_reply"}))
def test_all_known_types_are_taken(event_type: str):
    Door().take(callback(event_type))


def test_every_published_body_is_taken():
    bodies = [vector["body"] for vector in recorded()]
    events = [it for it in bodies if isinstance(it, dict) and type(it.get("group_id")) is int and "object" in it]
    for event in events:
        door = Door(groups={event["group_id"]: VKGroup(confirmation="12ab34cd")}, apis={}, echoes=True)
        door.take(orjson.dumps(event))


# Objects


def test_both_shapes_of_a_message_may_come_in_one_run():
    door = Door()
    new = door.take(callback(value=new_message("новое", cmid=1), event_id="new", v="5.199"))
    old = door.take(callback(value=message("старое", cmid=2), event_id="old", v="5.90"))
    odd = door.take(callback(value=message("странное", cmid=3), event_id="odd", v="5.199"))
    assert [event.text for event in (new, old, odd)] == ["новое", "старое", "странное"]
    assert isinstance(new.message, VKMessage)
    assert new.message.client_info
    assert isinstance(old.message, VKMessage)
    assert not old.message.client_info


@pytest.mark.parametrize(
    ("payload", "expected"),
    [({"a": 1}, {"a": 1}), ('{"a":1}', {"a": 1}), ("[1]", [1]), (5, 5), ("слово", "слово"), ([], [])],
)
def test_a_payload_may_be_json_or_a_string_with_json(payload: object, expected: object):
    pressed = Door().take(callback("message_event", button(payload)))
    assert isinstance(pressed.message, MessageEvent)
    assert pressed.message.payload == expected
    said = Door().take(callback(value=new_message(payload=json.dumps(payload, ensure_ascii=False))))
    assert isinstance(said.message, VKMessage)
    assert said.message.payload == payload


def test_a_message_of_a_chat_has_no_id_and_is_known_by_its_place():
    door = Door()
    for number in (1, 2):
        door.take(callback(value=new_message(peer_id=CHAT, cmid=number), event_id=None)).reply.finish()
    door.repeat(callback(value=new_message(peer_id=CHAT, cmid=2), event_id=None))


def test_a_pressed_button_waits_for_a_minute_and_not_longer():
    door = Door()
    event = door.take(callback("message_event", button()))
    assert (event.reply.deadline, event.reply.stale) == (door.now + 60, False)
    door.wait(60)
    assert event.reply.stale
    event.reply.finish()
    assert door.api.calls == []


def test_a_pressed_button_does_not_wait_behind_messages_of_its_dialog():
    door = Door()
    door.take(body())
    door.api.held = True
    door.events[0].reply.write("долго")
    door.events[0].reply.finish()
    pressed = door.take(callback("message_event", button(peer_id=USER), event_id="p"))
    pressed.reply.snackbar("сразу")
    assert door.api.methods == ["messages.send", "messages.sendMessageEventAnswer"]


# Each event once


def test_a_repetition_while_the_handler_runs_and_when_it_is_done_is_ok_and_nothing_else():
    door = Door()
    event = door.take(body())
    door.repeat(body())
    event.reply.finish()
    door.repeat(body(), tries=2)


def test_a_repetition_of_what_failed_runs():
    door = Door()
    door.take(body()).reply.fail()
    door.take(body(), tries=1).reply.finish()
    door.repeat(body(), tries=2)


def test_two_communities_may_use_one_event_id():
    door = Door(groups=TWO, apis={})
    door.take(body(secret="one"))
    door.take(body(secret="two", group_id=OTHER))
    door.repeat(body(secret="two", group_id=OTHER))


def test_a_repetition_after_a_restart_is_known_by_the_journal():
    journal = MemoryJournal()
    before = Door(journal=journal)
    before.take(body(1)).reply.finish()
    before.take(body(2))
    after = Door(journal=journal)
    (left,) = after.events
    assert left.message_id == "2"
    after.repeat(body(1), tries=1)
    after.repeat(body(2), tries=1)


def test_a_repetition_after_a_restart_whose_first_time_never_arrived_is_handled():
    Door(journal=MemoryJournal()).take(body(), tries=4)


def test_joining_again_is_another_event():
    door = Door()
    for number, event_type in enumerate(["group_join", "group_leave", "group_join", "group_leave"]):
        door.take(callback(event_type, event_id=f"{number:040x}")).reply.finish()


def test_the_echo_of_what_the_community_says_is_ok_and_no_input():
    door = Door()
    door.repeat(callback("message_reply", message("эхо", from_id=-GROUP, out=1), event_id="e"))


# Who is asked


def test_the_secret_of_another_community_of_ours_is_wrong():
    door = Door(groups=TWO, apis={})
    assert door.post(body(secret="two")).status == 403
    assert door.post(callback("confirmation", secret="two")).status == 403
    assert door.events == []


def test_while_a_secret_is_changed_both_are_right():
    door = Door(groups={GROUP: VKGroup(secret=["old", "new"])}, apis={})
    door.take(body(1, secret="old"))
    door.take(body(2, secret="new"))
    assert door.post(body(3, secret="older")).status == 403


@pytest.mark.parametrize("secret", [1, True, [SECRET], {"secret": SECRET}])
def test_a_secret_is_a_string(secret: object):
    assert Door().post(body(secret=secret)).status == 400


def test_a_secret_stands_behind_an_object_of_a_megabyte():
    door = Door()
    large = new_message("я" * 9000, attachments=[{"type": "wall", "wall": {"text": "x" * 1024 * 1024}}])
    whole = encode({**without(callback(value=large), "secret"), "secret": SECRET})
    assert whole.endswith(b'"secret":"%s"}' % SECRET.encode())
    assert len(whole) > 1024 * 1024
    door.take(whole)
    assert door.post(whole.replace(SECRET.encode(), b"x")).status == 403


@pytest.mark.parametrize("answer", ["remove", "version 5.1", "ok\n", "12ab34cd"])
def test_nothing_that_a_handler_or_a_sender_says_becomes_the_answer(answer: str):
    door = Door()
    event = door.take(callback(value=new_message(answer), event_id=answer, v=answer))
    event.reply.write(answer)
    event.reply.follow_up(answer)
    event.reply.finish()
    door.repeat(callback(value=new_message(answer), event_id=answer, v=answer))


def test_a_full_house_never_says_ok_to_what_it_does_not_take():
    door = Door(max_running=3)
    for number in range(1, 4):
        door.take(body(number))
    response = door.post(body(4))
    assert response.status == 503
    assert 0 < int(dict(response.headers)[b"retry-after"]) < 3 * 3600
    for event in door.events:
        event.reply.finish()
    door.take(body(4), tries=1)


# What is no event


NOT_JSON = [
    b"",
    b" ",
    b"{",
    b"[]",
    b"null",
    b"true",
    b"5",
    b'"a"',
    b"\xef\xbb\xbf" + encode(body()),
    encode(body()).replace(b'"random_id":0', b'"random_id":NaN'),
    b'{"type":"message_new","group_id":NaN,"object":{}}',
    b'{"type":"message_new","group_id":Infinity,"object":{}}',
    b'{"type":"message_new","group_id":1e999,"object":{}}',
    encode(body())[:-1],
    encode(body()) + b"}",
    encode(body()) * 2,
    encode(body()).replace("привет".encode(), b"\xff\xfe"),
    encode(body()).replace("привет".encode(), b"\\ud83d"),
    encode(body()).replace("привет".encode(), b"\\uD800\\u0041"),
    encode(body()).decode().encode("utf-16"),
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"type":"message_new","group_id":%d,"object":' % GROUP + b"[" * 5000 + b"]" * 5000 + b"}",
    b"type=message_new&group_id=1",
]


@pytest.mark.parametrize("bad", NOT_JSON, ids=range(len(NOT_JSON)))
def test_what_is_no_json_object_is_a_bad_request_at_once(bad: bytes):
    door = Door(journal=MemoryJournal())
    assert door.post(bad).status == 400
    assert door.events == []


def test_of_a_key_that_comes_twice_one_counts_and_the_secret_stays_the_secret():
    whole = encode(body())
    twice = whole[:-1] + b',"secret":"wrong"}'
    door = Door()
    assert door.post(twice).status == 403
    door.take(b'{"secret":"wrong",' + whole[1:])


def test_surrogate_pairs_are_characters():
    assert Door().take(encode(body()).replace("привет".encode(), b"\\ud83d\\ude00")).text == "\U0001f600"


@pytest.mark.parametrize("levels", [200, 300, 900])
def test_what_nests_is_taken_or_refused_and_breaks_nothing(levels: int):
    nested = b'{"a":' * levels + b"1" + b"}" * levels
    whole = encode(callback("brand_new", {"x": 5}, event_id="n")).replace(b'{"x":5}', nested)
    for journal in (None, MemoryJournal()):
        door = Door(journal=journal)
        assert door.post(whole).status in (200, 400)
        assert door.endpoint.unsettled() == len(door.events)


@given(st.binary(max_size=60))
def test_whatever_comes_is_answered_and_never_by_a_fault(data: bytes):
    assert Door().post(data).status == 400


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["type", "group_id", "object", "event_id", "v", "secret"])
FIELDS = st.sampled_from(
    ["message", "peer_id", "text", "payload", "attachments", "reply_message", "event_id", "user_id"]
)


@given(st.dictionaries(NAMES, VALUES), st.dictionaries(FIELDS, VALUES), st.sampled_from(sorted(EVENT_TYPES)))
def test_whatever_stands_in_an_envelope_it_is_taken_or_refused(
    envelope: dict[str, object], about: dict[str, object], event_type: str
):
    for journal in (None, MemoryJournal()):
        for whole in (body() | envelope, callback(event_type, about, event_id="x"), callback(value={"message": about})):
            door = Door(journal=journal)
            try:
                data = encode(whole)
            except UnicodeEncodeError:
                continue
            assert door.post(data).status in (200, 400, 403)
            for event in door.events:
                event.reply.finish()
            assert door.endpoint.unsettled() == 0
