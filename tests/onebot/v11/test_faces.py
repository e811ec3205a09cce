"""rawbot/onebot/v11/faces.py: which face a connection has, and that each form of an event is made once."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from v11_parties import BOT, NUMBER, Party, said

from rawbot.errors import ConfigError, StateError
from rawbot.onebot.broadcast import Broadcast
from rawbot.onebot.events import OneBotEvent
from rawbot.onebot.messages import Account, Segment
from rawbot.onebot.retcodes import ActionError
from rawbot.onebot.v11.faces import Faces
from rawbot.onebot.v11.settings import V11HTTP, V11HTTPPost, V11WebSocket

NAMED = Account("loop", "named")


def test_connections_of_one_bot_and_format_share_a_face():
    faces = Party().faces
    face = faces.face_for(V11HTTP())
    assert faces.face_for(V11WebSocket()) is face
    assert faces.face_for(V11HTTPPost("http://x/", bot=str(NUMBER))) is face
    assert faces.face_for(V11HTTP(bot=BOT)) is face
    assert face.self_id == NUMBER


def test_faces_of_one_bot_in_two_formats_share_ids_and_messages():
    party = Party()
    other = party.faces.face_for(V11HTTP(message_format="string"))
    assert other is not party.face
    assert (other.ids, other.recent) == (party.face.ids, party.face.recent)
    text = json.loads(party.faces.encode(Broadcast(said("a[b")), other))
    assert (text["message"], text["raw_message"]) == ("a&#91;b", "a&#91;b")


def test_bots_share_the_ids_and_nothing_else():
    party = Party()
    other = party.faces.face_for(V11HTTP(bot=NAMED))
    assert other.ids is party.face.ids
    assert other.recent is not party.face.recent
    assert other.self_id >= 2**52


@pytest.mark.parametrize("bots", [[], ["1", "2"]])
def test_a_bot_that_is_not_the_only_one_has_to_be_named(bots: list[str]):
    faces = Faces(Party().implementation)
    faces.implementation.remove_bot(BOT)
    for bot in bots:
        faces.implementation.set_online(bot)
    with pytest.raises(ConfigError, match="name it"):
        faces.face_for(V11HTTP())
    assert faces.face_for(V11HTTP(bot="1")).bot == Account("loop", "1")


def test_a_bot_may_have_another_number_than_its_id():
    faces = Party().faces
    face = faces.face_for(V11HTTP(bot=NAMED, self_id=777))
    assert face.self_id == 777
    assert face.ids.user_id(777) == "named"
    assert faces.face_for(V11HTTP(bot=NAMED)) is faces.face_for(V11HTTP(bot=NAMED, self_id=777)) is face
    assert face.ids.users.encode("777") >= 2**52  # somebody else


@pytest.mark.parametrize("self_id", [0, -1, 2**52, 2**63])
def test_a_number_that_cannot_be_is_refused(self_id: int):
    with pytest.raises(ConfigError):
        Party().faces.face_for(V11HTTP(bot=NAMED, self_id=self_id))


def test_a_number_that_contradicts_another_is_refused():
    faces = Party().faces
    faces.face_for(V11HTTP(bot=NAMED, self_id=777))
    for settings in (
        V11HTTP(bot=NAMED, self_id=778),
        V11HTTP(bot="third", self_id=777),
        V11HTTP(bot=BOT, self_id=779),  # whose connections say another one already
    ):
        with pytest.raises(ConfigError):
            faces.face_for(settings)


def test_an_event_is_encoded_once_for_each_face():
    party = Party()
    broadcast = Broadcast(said())
    strings = party.faces.face_for(V11HTTP(message_format="string"))
    first = party.faces.encode(broadcast, party.face)
    assert party.faces.encode(broadcast, party.face) is first
    assert party.faces.encode(broadcast, strings) is party.faces.encode(broadcast, strings) is not first
    assert json.loads(first)["message"] == [{"type": "text", "data": {"text": "hi"}}]


def test_what_is_not_told_is_not_tried_twice():
    party = Party()
    broadcast = Broadcast(said(bot=NAMED))
    assert party.faces.encode(broadcast, party.face) is None
    assert party.faces.encode(broadcast, party.face) is None
    assert party.faces.untold == 0


def test_an_event_that_lacks_what_12_demands_is_counted_and_not_told():
    party = Party()
    for fields in ({}, {"message": [], "message_id": "1", "user_id": "x", "user_name": "\ud800"}):
        broadcast = Broadcast(OneBotEvent("message", "private", bot=BOT, id="e", time=1.0, fields=fields))
        assert party.faces.encode(broadcast, party.face) is None
        assert party.faces.encode(broadcast, party.face) is None
    assert party.faces.untold == 2
    assert {figure.name: figure.value for figure in party.faces.figures()} == {
        "onebot_v11_untold": 2,
        "onebot_v11_queued": 0,
    }


def test_a_message_may_be_as_it_is_on_the_wire():
    party = Party()
    wire = [{"type": "text", "data": {"text": "a"}}, {"type": "mention", "data": {"user_id": "7"}}]
    event = said()
    event.fields["message"] = wire
    told = json.loads(party.faces.encode(Broadcast(event), party.face))
    assert told["message"] == [{"type": "text", "data": {"text": "a"}}, {"type": "at", "data": {"qq": "7"}}]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
KINDS = st.sampled_from(("text", "mention", "image", "location", "reply", "at", "cq.face", "x")) | st.text(max_size=4)
DATA = st.dictionaries(st.sampled_from(("text", "user_id", "file_id", "latitude", "message_id", "type")), ANYTHING)
SEGMENTS = st.builds(Segment, KINDS, DATA) | st.fixed_dictionaries({"type": KINDS, "data": DATA})
FIELDS = st.dictionaries(
    st.sampled_from(("user_id", "group_id", "message_id", "operator_id", "user_name", "interval")),
    ANYTHING | st.just("5"),
)
EVENTS = st.builds(
    lambda kind, sub_type, time, fields, message: OneBotEvent(
        *kind,
        sub_type=sub_type,
        time=time,
        id="e",
        bot=None if kind[0] == "meta" else BOT,
        fields=fields | {"message": message},
    ),
    st.sampled_from(
        [("message", "private"), ("message", "group"), ("meta", "heartbeat"), ("notice", "friend_increase")]
        + [("notice", f"group_{what}") for what in ("member_increase", "member_decrease", "message_delete")]
    ),
    st.sampled_from(("", "friend", "kick")) | st.text(max_size=3),
    st.floats(allow_nan=False, allow_infinity=False),
    FIELDS,
    st.lists(SEGMENTS, max_size=3) | ANYTHING,
)


@given(EVENTS)
def test_whatever_12_can_say_is_told_or_is_not_and_nothing_is_raised(event: OneBotEvent):
    party = Party()
    try:
        broadcast = Broadcast(event)
        assert broadcast.text
    except (ActionError, StateError):
        return
    for face in (party.face, party.faces.face_for(V11HTTP(message_format="string"))):
        told = party.faces.encode(broadcast, face)
        assert told is None or json.loads(told)["self_id"] == NUMBER


def test_it_says_what_it_is():
    assert Party().faces.user_agent == b"OneBot/11 (loop) my-impl/1.2"
