"""rawbot/onebot/v11/channels.py: what goes over a WebSocket, by what it is for. OneBot 11, communication/ws."""

import json

import pytest
from onebot_parts import T0, Data
from v11_parties import BOT, NUMBER, Party, said

from rawbot.exchange import EncodedText
from rawbot.onebot import events
from rawbot.onebot.messages import Account
from rawbot.onebot.v11.channels import V11Channel
from rawbot.onebot.v11.settings import Role

SEND = {"action": "send_private_msg", "params": {"user_id": 5, "message": "hi"}}
CONNECT = {
    "time": int(T0),
    "self_id": NUMBER,
    "post_type": "meta_event",
    "meta_event_type": "lifecycle",
    "sub_type": "connect",
}


class Line:
    """A channel that is open."""

    def __init__(self, party: Party, role: Role = "Universal", max_queue_bytes: int = 10_000) -> None:
        self.party = party
        self.opened_in: set[object] = set()
        self.channel = V11Channel(
            party.faces,
            party.face,
            party.handlers.dispatch,
            role=role,
            max_queue_bytes=max_queue_bytes,
            opened_in=self.opened_in,
        )
        self.ready = 0
        self.channel.on_ready = self._note
        self.channel.opened(T0)

    def sent(self) -> list[Data]:
        messages = list(self.channel.to_send())
        assert all(isinstance(message, EncodedText) for message in messages)
        return [json.loads(message) for message in messages]

    def say(self, value: object) -> list[Data]:
        message = value if isinstance(value, str | bytes) else json.dumps(value)
        assert self.channel.receive(message, T0) == ()
        return self.sent()

    def _note(self) -> None:
        self.ready += 1


def emit(party: Party, text: str = "hi") -> None:
    party.implementation.push(said(text))


def test_the_first_event_is_connect_and_then_come_the_others():
    party = Party()
    line = Line(party)
    emit(party)
    first, second = line.sent()
    assert first == CONNECT
    assert (second["post_type"], second["raw_message"], second["self_id"]) == ("message", "hi", NUMBER)
    assert line.ready == 1


@pytest.mark.parametrize(
    ("role", "greets", "answers"), [("Universal", True, True), ("API", False, True), ("Event", True, False)]
)
def test_events_and_requests_go_where_they_belong(role: Role, greets: bool, answers: bool):  # noqa: FBT001 - a table's
    party = Party()
    line = Line(party, role)
    assert bool(line.sent()) is greets
    emit(party)
    assert bool(line.sent()) is greets
    assert bool(line.say(SEND)) is answers
    assert bool(line.say("{")) is answers
    assert bool(party.sent) is answers
    assert party.implementation.is_heard() is greets


def test_heartbeats_are_told_with_how_the_bot_is():
    party = Party(heartbeat=3000)
    line = Line(party)
    party.implementation.start(T0)
    line.sent()
    party.implementation.tick(T0 + 3)
    (beat,) = line.sent()
    assert (beat["meta_event_type"], beat["interval"], beat["status"]) == (
        "heartbeat",
        3000,
        {"online": True, "good": True},
    )


def test_what_11_has_no_words_for_is_not_told():
    party = Party()
    line = Line(party)
    line.sent()
    party.implementation.set_online(BOT, online=False)  # a status_update
    party.implementation.push(events.channel_message(BOT, "hi", "5", "1", guild_id="g", channel_id="c"))
    party.implementation.push(said(bot=Account("loop", "other")))
    assert line.sent() == []
    assert line.ready == 0


@pytest.mark.parametrize("message", ["{", "[]", "5", '"x"', b"\xff", '{"action": 5, "echo": 7}', "\ud800"])
def test_what_is_no_request_is_answered_and_changes_nothing_else(message: str | bytes):
    line = Line(Party())
    line.sent()
    (answer,) = line.say(message)
    assert (answer["status"], answer["retcode"]) == ("failed", 1400)
    assert answer.get("echo") == (7 if "echo" in str(message) else None)
    assert line.say(SEND)[0]["status"] == "ok"


def test_a_request_in_bytes_is_answered_in_text():
    line = Line(Party())
    line.sent()
    assert line.say(json.dumps(SEND | {"echo": [1]}).encode())[0]["echo"] == [1]


def test_a_fast_action_is_answered_before_a_slow_one():
    party = Party()
    line = Line(party)
    line.sent()
    assert line.say({"action": "wait", "params": {"gate": "a"}, "echo": "slow"}) == []
    assert [answer["echo"] for answer in line.say(SEND | {"echo": "fast"})] == ["fast"]
    assert line.ready == 0
    party.open("a")
    assert line.ready == 1
    assert [answer["echo"] for answer in line.sent()] == ["slow"]


def test_an_answer_to_a_connection_that_is_gone_goes_nowhere():
    party = Party()
    line = Line(party)
    line.say({"action": "wait", "params": {"gate": "a"}})
    line.channel.closed(1006, T0)
    party.open("a")
    emit(party)
    assert line.sent() == []
    assert line.opened_in == set()
    assert not party.implementation.is_heard()


def test_of_events_that_come_too_fast_the_oldest_are_dropped_and_answers_are_not():
    party = Party()
    line = Line(party, max_queue_bytes=700)
    for number in range(10):
        emit(party, str(number))
    line.channel.receive(json.dumps(SEND | {"echo": "e"}), T0)
    *first, last = line.sent()
    assert [first[0]["post_type"], first[1]["echo"], last["raw_message"]] == ["meta_event", "e", "9"]
    assert line.channel.dropped == 10 - len([*first[2:], last]) > 5


def test_connections_share_the_text_of_an_event():
    party = Party()
    lines = [Line(party), Line(party, "Event")]
    for line in lines:
        line.sent()
    emit(party)
    first, second = (list(line.channel.to_send()) for line in lines)
    assert first[0] is second[0]
