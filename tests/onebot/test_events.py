"""rawbot/onebot/events.py: the nineteen of the standard, the order of fields, and every rule broken once."""

import math
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rawbot.errors import StateError
from rawbot.onebot import events, messages
from rawbot.onebot.codec import JSON
from rawbot.onebot.events import NOTICES, OneBotEvent, encode_event
from rawbot.onebot.messages import Account, Segment

BOT = Account("qq", "123")
BASE = ["id", "time", "type", "detail_type", "sub_type", "self"]
VERSION = {"impl": "rawbot", "version": "1", "onebot_version": "12"}
STATUS = {"good": True, "bots": [{"self": BOT.encode(), "online": True}]}
HELLO = [{"type": "text", "data": {"text": "hello"}}]
IDS = {"user_id": "u", "group_id": "g", "guild_id": "gu", "channel_id": "c", "message_id": "m", "operator_id": "o"}

STANDARD: dict[str, tuple[OneBotEvent, dict]] = {
    # OneBot 12, interface/*/events: the event and its own fields
    "meta.connect": (events.connect(VERSION), {"version": VERSION}),
    "meta.heartbeat": (events.heartbeat(5000), {"interval": 5000}),
    "meta.status_update": (events.status_update(STATUS), {"status": STATUS}),
    "message.private": (
        events.private_message(BOT, "hello", "u", "m"),
        {"message_id": "m", "message": HELLO, "alt_message": "hello", "user_id": "u"},
    ),
    "message.group": (
        events.group_message(BOT, "hello", "u", "m", group_id="g"),
        {"message_id": "m", "message": HELLO, "alt_message": "hello", "group_id": "g", "user_id": "u"},
    ),
    "message.channel": (
        events.channel_message(BOT, "hello", "u", "m", guild_id="gu", channel_id="c"),
        {
            "message_id": "m",
            "message": HELLO,
            "alt_message": "hello",
            "guild_id": "gu",
            "channel_id": "c",
            "user_id": "u",
        },
    ),
} | {
    f"notice.{name}": (events.notice(name, BOT, **{key: IDS[key] for key in keys}), {key: IDS[key] for key in keys})
    for name, keys in NOTICES.items()
}

each_standard = pytest.mark.parametrize("name", STANDARD)


def message(**fields: object) -> OneBotEvent:
    return events.private_message(BOT, "hello", "u", "m", **fields)  # type: ignore[arg-type] - some are wrong


def refused(event: OneBotEvent, match: str) -> None:
    with pytest.raises(StateError, match=match) as caught:
        encode_event(event)
    assert "hello" not in str(caught.value)


# The standard's


def test_the_standard_has_nineteen():
    assert len(STANDARD) == 19


@each_standard
def test_each_has_its_fields_and_those_of_every_event(name: str):
    event, own = STANDARD[name]
    event.id, event.time = "e-1", 1700000000
    encoded = encode_event(event)
    is_meta = name.startswith("meta.")
    base = {"id": "e-1", "time": 1700000000.0, "sub_type": ""} | ({} if is_meta else {"self": BOT.encode()})
    base |= dict(zip(("type", "detail_type"), name.split("."), strict=True))
    assert encoded == base | own
    assert list(encoded)[: len(base)] == BASE[: len(base)]
    assert type(encoded["time"]) is float
    assert JSON.decode(JSON.encode(encoded)) == encoded


@pytest.mark.parametrize("name", NOTICES)
def test_a_notice_that_lacks_a_field_cannot_be_made(name: str):
    for key in NOTICES[name]:
        fields: dict[str, str] = {other: "x" for other in NOTICES[name] if other != key}
        with pytest.raises(StateError, match=rf"^notice\.{name} needs {key}$"):
            events.notice(name, BOT, **fields)  # type: ignore[arg-type] - dict to keywords


def test_notices_and_requests_of_a_platform_take_any_fields():
    event = events.notice("qq.poke", BOT, sub_type="qq.hard", time=1.5, **{"qq.times": 2})  # type: ignore[arg-type]
    assert encode_event(event) == {
        "id": "",
        "time": 1.5,
        "type": "notice",
        "detail_type": "qq.poke",
        "sub_type": "qq.hard",
        "self": {"platform": "qq", "user_id": "123"},
        "qq.times": 2,
    }
    asked = encode_event(events.request("qq.friend", BOT, user_id="u", sub_type="x", time=2))
    assert (asked["type"], asked["detail_type"], asked["user_id"]) == ("request", "qq.friend", "u")


def test_a_message_tells_when_and_of_which_kind_it_is():
    made: list[Callable[..., OneBotEvent]] = [events.private_message, events.group_message, events.channel_message]
    ids = [{}, {"group_id": "g"}, {"guild_id": "gu", "channel_id": "c"}]
    for make, more in zip(made, ids, strict=True):
        event = make(BOT, "hello", "u", "m", **more, sub_type="friend", time=3.25, **{"qq.x": 1})
        assert (event.sub_type, event.time, event.fields["qq.x"]) == ("friend", 3.25, 1)


def test_the_stand_in_is_made_unless_it_is_given():
    segments = [messages.text("see "), messages.image("f")]
    assert encode_event(events.private_message(BOT, segments, "u", "m"))["alt_message"] == "see [image]"
    assert encode_event(message(alt_message="other"))["alt_message"] == "other"


def test_messages_in_any_field_are_encoded_and_other_lists_are_left_alone():
    quote = [messages.text("before"), messages.mention("u")]
    encoded = encode_event(message(**{"qq.quote": quote, "qq.none": [], "qq.list": [1, {"a": 2}]}))
    assert encoded["qq.quote"] == messages.encode_message(quote)
    assert (encoded["qq.none"], encoded["qq.list"]) == ([], [1, {"a": 2}])


def test_encoding_changes_nothing_and_can_be_repeated():
    event = message()
    assert encode_event(event) == encode_event(event)
    assert event.fields["message"] == [messages.text("hello")]
    assert isinstance(event.fields["message"], list)


def test_a_bot_is_told_with_all_its_fields():
    event = events.private_message(Account("qq", "1", {"qq.shard": 3}), "hello", "u", "m")
    assert encode_event(event)["self"] == {"platform": "qq", "user_id": "1", "qq.shard": 3}


def test_an_event_shows_its_type_and_nothing_else():
    assert repr(message()) == "<OneBotEvent message.private>"


# The rules


@pytest.mark.parametrize("kind", ["", "Message", "messages", "qq.meta", "meta_event"])
def test_the_four_types_cannot_be_extended(kind: str):
    refused(OneBotEvent(kind, "x", bot=BOT), "no such type")


def test_an_event_needs_a_detail_type():
    refused(OneBotEvent("notice", "", bot=BOT), "detail_type")


@pytest.mark.parametrize("kind", ["message", "notice", "request"])
def test_all_but_meta_events_need_a_bot(kind: str):
    refused(OneBotEvent(kind, "x"), "needs a bot")


def test_meta_events_have_no_bot():
    refused(OneBotEvent("meta", "x", bot=BOT), "has no bot")


@pytest.mark.parametrize("time", [math.nan, math.inf, -math.inf])
def test_a_time_is_a_number(time: float):
    refused(message(time=time), "time")


@pytest.mark.parametrize("name", BASE)
def test_a_field_cannot_have_the_name_of_one_that_every_event_has(name: str):
    refused(OneBotEvent("notice", "x", bot=BOT, fields={name: "y"}), rf": {name} is no name")


@pytest.mark.parametrize(
    "fields",
    [
        {"qq": "x", "qq.a": 1},
        {"qq.a": 1, "qq": "x"},
        {"qq": {"b": 1}, "qq.a": 1},
        {"qq.a": 1, "qq.a.b.c": 2},
        {"self.x": 1},
        {"time.ms": 1},
        {"deep": [{"data": {"a": 1, "a.b": 2}}]},
        {"deep": ({"a.": 1, "a": 2},)},
        {"message": [Segment("qq.x", {"a": 1, "a.b": 2})]},
        {"": 1, ".a": 2},
        {"a.": 1, "a..b": 2},
    ],
)
def test_no_key_may_continue_another_after_a_dot(fields: dict):
    refused(OneBotEvent("notice", "x", bot=BOT, fields=fields), "one continues the other")


@pytest.mark.parametrize(
    "fields", [{"qq.a": 1, "qq.b": 2, "qqq": 3}, {"qq": 1, "qqa": 2, "q.q": 3}, {"a.b.c": 1, "a.b.d": 2, "a.e": 3}]
)
def test_keys_with_dots_may_stand_beside_each_other(fields: dict):
    assert encode_event(OneBotEvent("notice", "x", bot=BOT, fields=fields)).items() >= fields.items()


def unfold(value: object) -> object:
    """Make objects of dotted keys, as applications do: fails where a value stands in the way."""
    if isinstance(value, list):
        return [unfold(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    unfolded: dict = {}
    for key, inner in value.items():
        *path, last = key.split(".")
        target = unfolded
        for name in path:
            target = target.setdefault(name, {})
        assert last not in target
        target[last] = unfold(inner)
    return unfolded


def count_leaves(value: object) -> int:
    inners = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(map(count_leaves, inners)) or 1


dotted = st.dictionaries(st.text("ab.", max_size=5), st.integers(0, 3) | st.just([]), min_size=1, max_size=5)
holders = dotted | st.dictionaries(
    st.text("cd.", min_size=1, max_size=3), dotted | st.lists(dotted, max_size=2), max_size=3
)


def unfolds(value: object) -> bool:
    try:
        unfold(value)
    except (AssertionError, AttributeError, TypeError):
        return False
    return True


def turned(value: object) -> object:
    """Turn the order of all keys around: some conflicts show in one order only."""
    if isinstance(value, dict):
        return {key: turned(inner) for key, inner in reversed(value.items())}
    return [turned(inner) for inner in value] if isinstance(value, list) else value


@given(holders)
@example({"c": {"a": 1}, "c.d": {"b": 2}})
def test_what_is_let_through_unfolds_without_loss_and_nothing_else_does_in_both_orders(fields: dict):
    event = OneBotEvent("notice", "x", bot=BOT, fields=fields)
    try:
        encoded = encode_event(event)
    except StateError:
        assert not (unfolds(fields) and unfolds(turned(fields)))
        return
    for value in (encoded, turned(encoded)):
        assert count_leaves(unfold(value)) == count_leaves(encoded)


@pytest.mark.parametrize("fields", [{1: 2}, {None: 1}, {"a": {b"b": 1}}, {"a": [{"b": {(): 1}}]}])
def test_keys_are_strings_all_the_way_down(fields: dict):
    refused(OneBotEvent("notice", "x", bot=BOT, fields=fields), "a key is no string")


def test_an_event_that_contains_itself_is_refused():
    endless: dict[str, object] = {}
    endless["again"] = [endless, endless]
    refused(OneBotEvent("notice", "x", bot=BOT, fields=endless), "nested too deeply")
