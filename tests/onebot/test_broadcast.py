"""rawbot/onebot/broadcast.py: an event is encoded once, whoever gets it."""

import json

import pytest
from onebot_parts import BOT, heard, make, message

from rawbot.errors import StateError
from rawbot.exchange import EncodedText
from rawbot.onebot.broadcast import Broadcast
from rawbot.onebot.events import OneBotEvent, heartbeat
from rawbot.onebot.retcodes import ActionError


def test_the_text_is_made_once_and_goes_out_as_text():
    broadcast = Broadcast(message(1))
    assert broadcast.text is broadcast.text
    assert isinstance(broadcast.text, EncodedText)
    assert json.loads(broadcast.text) == broadcast.value


def test_everybody_gets_the_same_bytes():
    ob = make()
    sinks = [heard(ob) for _ in range(3)]
    ob.push(message(1))
    (first, *others) = [sink.broadcasts[0].text for sink in sinks]
    assert all(other is first for other in others)


def test_whether_it_is_about_the_implementation_is_known():
    assert Broadcast(heartbeat(5)).is_meta
    assert not Broadcast(message()).is_meta


def test_what_was_said_is_not_shown():
    assert repr(Broadcast(message(text="a secret"))) == "<Broadcast message.private>"


def test_bytes_are_base64_in_its_text_and_bytes_in_its_value():
    event = OneBotEvent("notice", "loop.file", bot=BOT, fields={"data": b"\x00\xff"})
    broadcast = Broadcast(event)
    assert json.loads(broadcast.text)["data"] == "AP8="
    assert broadcast.value["data"] == b"\x00\xff"


def test_what_is_no_event_or_no_json_is_refused():
    with pytest.raises(StateError):
        Broadcast(OneBotEvent("nothing", "x", bot=BOT))
    broadcast = Broadcast(OneBotEvent("notice", "x", bot=BOT, fields={"what": object()}))
    with pytest.raises(ActionError):
        _ = broadcast.text


def test_another_form_is_made_once_for_each_key_and_may_be_none():
    broadcast = Broadcast(message(1))
    asked: list[object] = []

    def encode(event: OneBotEvent, key: str) -> EncodedText | None:
        asked.append((event, key))
        return EncodedText(key.encode()) if key else None

    for _ in range(2):
        assert broadcast.form("a", encode) == b"a"
        assert broadcast.form("", encode) is None
    assert asked == [(broadcast.event, "a"), (broadcast.event, "")]
