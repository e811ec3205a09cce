"""rawbot/onebot/v11/events.py: what is told, field by field, and what is not.

The fields are those of OneBot 11, event/message, event/notice and event/meta; NoneBot's models are the judges.
"""

import pytest
from aiocqhttp import Event
from nonebot.adapters.onebot.v11 import Adapter
from v11_face import BOT, STATUS, face

from rawbot.errors import StateError
from rawbot.onebot.events import OneBotEvent
from rawbot.onebot.messages import Account, Segment
from rawbot.onebot.retcodes import BAD_HANDLER, ActionError
from rawbot.onebot.v11.events import encode_event, encode_status, heartbeat, lifecycle
from rawbot.onebot.v11.face import Face

T0 = 1632847927.599
MESSAGE = [Segment("text", {"text": "a[b "}), Segment("mention", {"user_id": "7"})]
ARRAY = [{"type": "text", "data": {"text": "a[b "}}, {"type": "at", "data": {"qq": "7"}}]


def event(type_: str, detail_type: str, sub_type: str = "", bot: Account | None = BOT, **fields: object) -> OneBotEvent:
    return OneBotEvent(type_, detail_type, sub_type=sub_type, bot=bot, id="e-1", time=T0, fields=fields)


def private(**fields: object) -> OneBotEvent:
    standard = {"message_id": "12", "message": MESSAGE, "alt_message": "a[b @7", "user_id": "12345678"}
    return event("message", "private", **(standard | fields))


def group(sub_type: str = "", **fields: object) -> OneBotEvent:
    standard = {"message_id": "12", "message": MESSAGE, "alt_message": "", "user_id": "7", "group_id": "87654321"}
    return event("message", "group", sub_type, **(standard | fields))


def test_a_private_message_is_told():
    assert encode_event(private(), face()) == {
        "time": 1632847927,
        "self_id": 10001000,
        "post_type": "message",
        "message_type": "private",
        "sub_type": "friend",
        "message_id": 12,
        "user_id": 12345678,
        "message": ARRAY,
        "raw_message": "a&#91;b [CQ:at,qq=7]",
        "font": 0,
        "sender": {"user_id": 12345678, "nickname": "12345678", "sex": "unknown", "age": 0},
    }


def test_a_group_message_is_told():
    told = encode_event(group(user_name="Alice", user_displayname="A."), face())
    assert told is not None
    assert (told["message_type"], told["sub_type"], told["group_id"], told["user_id"]) == (
        "group",
        "normal",
        87654321,
        7,
    )
    assert told["anonymous"] is None
    assert told["sender"] == {
        "user_id": 7,
        "nickname": "Alice",
        "sex": "unknown",
        "age": 0,
        "card": "A.",
        "area": "",
        "level": "",
        "role": "member",
        "title": "",
    }


def test_a_message_may_be_told_as_a_string():
    told = encode_event(private(), face(message_format="string"))
    assert told is not None
    assert told["message"] == told["raw_message"] == "a&#91;b [CQ:at,qq=7]"


def test_kinds_of_messages_that_11_knows_are_kept():
    for made, kept in (
        (event("message", "private", "group", **private().fields), "group"),
        (group("notice"), "notice"),
    ):
        told = encode_event(made, face())
        assert told is not None
        assert told["sub_type"] == kept
    other = encode_event(event("message", "private", "wecom.single", **private().fields), face())
    assert other is not None
    assert other["sub_type"] == "friend"


def test_ids_that_are_no_numbers_become_numbers():
    its_face = face()
    told = encode_event(private(user_id="alice", message_id="m-1"), its_face)
    assert told is not None
    assert told["user_id"] == its_face.ids.users.encode("alice") >= 2**52
    assert 2**30 <= its_face.ids.messages.encode("m-1") == told["message_id"] < 2**31
    assert its_face.ids.user_id(told["user_id"]) == "alice"  # type: ignore[arg-type]


def test_a_message_is_remembered_without_being_told_twice():
    its_face = face()
    for _ in range(2):
        encode_event(private(), its_face)
    found = its_face.recent.get(12)
    assert found is not None
    facts, segments = found
    assert segments == ARRAY
    assert set(facts) == {"time", "message_type", "message_id", "real_id", "sender"}
    assert len(its_face.recent) == 1


NOTICES = [
    (
        event("notice", "friend_increase", user_id="5"),
        {"notice_type": "friend_add", "user_id": 5},
    ),
    (
        event("notice", "private_message_delete", user_id="5", message_id="9"),
        {"notice_type": "friend_recall", "user_id": 5, "message_id": 9},
    ),
    (
        event("notice", "group_member_increase", "join", user_id="5", group_id="6", operator_id="7"),
        {"notice_type": "group_increase", "sub_type": "approve", "user_id": 5, "group_id": 6, "operator_id": 7},
    ),
    (
        event("notice", "group_member_increase", "invite", user_id="5", group_id="6", operator_id=""),
        {"notice_type": "group_increase", "sub_type": "invite", "user_id": 5, "group_id": 6, "operator_id": 0},
    ),
    (
        event("notice", "group_member_decrease", "leave", user_id="5", group_id="6", operator_id="5"),
        {"notice_type": "group_decrease", "sub_type": "leave", "user_id": 5, "group_id": 6, "operator_id": 5},
    ),
    (
        event("notice", "group_member_decrease", "kick", user_id="5", group_id="6", operator_id="7"),
        {"notice_type": "group_decrease", "sub_type": "kick", "user_id": 5, "group_id": 6, "operator_id": 7},
    ),
    (
        event("notice", "group_member_decrease", "kick", user_id="10001000", group_id="6", operator_id="7"),
        {"notice_type": "group_decrease", "sub_type": "kick_me", "user_id": 10001000, "group_id": 6, "operator_id": 7},
    ),
    (
        event("notice", "group_message_delete", "recall", user_id="5", group_id="6", operator_id="7", message_id="9"),
        {"notice_type": "group_recall", "user_id": 5, "group_id": 6, "operator_id": 7, "message_id": 9},
    ),
]


@pytest.mark.parametrize(("made", "fields"), NOTICES)
def test_notices_are_told(made: OneBotEvent, fields: dict[str, object]):
    start = {"time": 1632847927, "self_id": 10001000, "post_type": "notice"}
    assert encode_event(made, face()) == start | fields


@pytest.mark.parametrize(
    "made",
    [
        event("message", "channel", message=[], message_id="1", user_id="2", guild_id="3", channel_id="4"),
        event("message", "wecom.other"),
        event("notice", "friend_decrease", user_id="5"),
        event("notice", "channel_create"),
        event("request", "wecom.join"),
        event("meta", "status_update", bot=None, status=STATUS),
        event("meta", "wecom.other", bot=None),
    ],
)
def test_what_11_has_no_word_for_is_not_told(made: OneBotEvent):
    assert encode_event(made, face()) is None


@pytest.mark.parametrize("bot", [None, Account("wecom", "other"), Account("vk", "10001000")])
def test_other_bots_events_are_not_told(bot: Account | None):
    assert encode_event(event("notice", "friend_increase", bot=bot, user_id="5"), face()) is None


@pytest.mark.parametrize("field", ["user_id", "message_id", "message"])
@pytest.mark.parametrize("value", [None, 5])
def test_an_event_without_what_12_demands_is_our_fault(field: str, value: object):
    with pytest.raises(StateError, match=f"message.private has no {field}"):
        encode_event(private(**{field: value}), face())


def test_a_connection_opens_with_the_lifecycle():
    expected = {
        "time": 1632847927,
        "self_id": 10001000,
        "post_type": "meta_event",
        "meta_event_type": "lifecycle",
        "sub_type": "connect",
    }
    assert encode_event(event("meta", "connect", bot=None, version={}), face()) == expected
    assert lifecycle("enable", face(), T0) == expected | {"sub_type": "enable"}


def test_a_heartbeat_tells_how_the_bot_is():
    expected = {
        "time": 1632847927,
        "self_id": 10001000,
        "post_type": "meta_event",
        "meta_event_type": "heartbeat",
        "status": {"online": True, "good": True},
        "interval": 15000,
    }
    assert encode_event(event("meta", "heartbeat", bot=None, interval=15000), face()) == expected
    assert heartbeat(15000, face(), T0) == expected


def bot_status(platform: str = "wecom", user_id: str = "10001000", *, online: object = True) -> dict[str, object]:
    return {"self": {"platform": platform, "user_id": user_id}, "online": online}


@pytest.mark.parametrize(
    ("good", "bots", "told"),
    [
        (True, [bot_status("vk"), bot_status()], (True, True)),
        (False, [bot_status()], (True, False)),
        (True, [bot_status(online=False)], (False, False)),
        (True, [bot_status("vk"), bot_status(user_id="2")], (False, False)),
        (True, [], (False, False)),
        (True, [None, {}, {"self": "x"}], (False, False)),
        (1, [bot_status(online=1)], (False, False)),
    ],
)
def test_the_status_is_that_of_the_one_bot(good: object, bots: list[object], told: tuple[bool, bool]):
    online, fine = told
    assert encode_status({"good": good, "bots": bots}, face()) == {"online": online, "good": fine}


@pytest.mark.parametrize("status", [None, [], {}, {"good": True}, {"good": True, "bots": {}}])
def test_a_status_that_is_none_is_its_handlers_fault(status: object):
    with pytest.raises(ActionError) as caught:
        encode_status(status, face())
    assert caught.value.retcode == BAD_HANDLER


def models(its_face: Face) -> list[dict[str, object]]:
    told = [encode_event(made, its_face) for made in (private(user_id="alice"), group(), *(n for n, _ in NOTICES))]
    told += [lifecycle("connect", its_face, T0), heartbeat(15000, its_face, T0)]
    return [one for one in told if one is not None]


def test_nonebots_models_take_all_of_it():
    for its_face in (face(), face(message_format="string")):
        for told in models(its_face):
            parsed = Adapter.json_to_event(told)
            assert parsed is not None
            assert parsed.post_type == told["post_type"]
            kind = type(parsed).__name__
            assert kind not in ("Event", "MessageEvent", "NoticeEvent", "MetaEvent"), "no model of its own took it"


def test_aiocqhttp_takes_all_of_it():
    for told in models(face()):
        assert Event.from_payload(told).name.startswith(f"{told['post_type']}.")
