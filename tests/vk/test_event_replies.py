"""rawbot/vk/event_replies.py: a pressed button is answered once and in time; messages are sent as ever."""

import orjson
import pytest
from vk_platform import NOW, FakeApi, failed
from vk_samples import CHAT, EVENT_ID, GROUP, USER, button

from rawbot.errors import StateError
from rawbot.vk.event_replies import DEADLINE, MAX_SNACKBAR, ButtonReply
from rawbot.vk.lines import Lines
from rawbot.vk.objects import MessageEvent, decode_typed
from rawbot.vk.posting import Target
from rawbot.vk.replies import Ending


class Bench:
    def __init__(self, *, answerable: bool = True) -> None:
        self.api = FakeApi()
        self.now = NOW
        self.endings: list[Ending] = []
        event = decode_typed("message_event", button())
        assert isinstance(event, MessageEvent)
        target = Target(self.api, Lines(), GROUP, CHAT, EVENT_ID) if answerable else None
        self.reply = ButtonReply(
            target, event, on_settled=self.endings.append, deadline=NOW + DEADLINE, clock=lambda: self.now
        )

    @property
    def answers(self) -> list[object]:
        assert all((one["user_id"], one["peer_id"]) == (USER, CHAT) for one in self.api.answers)
        assert all(one["event_id"] == button()["event_id"] for one in self.api.answers)
        return [orjson.loads(one["event_data"]) if "event_data" in one else None for one in self.api.answers]


def test_a_snackbar_is_shown_at_once():
    bench = Bench()
    bench.reply.snackbar("готово")
    assert bench.answers == [{"type": "show_snackbar", "text": "готово"}]
    bench.reply.finish()
    assert len(bench.answers) == 1
    assert bench.endings == [Ending.WELL]


def test_a_page_or_an_app_may_be_opened_in_its_place():
    for open_it, data in (
        (lambda reply: reply.open_link("https://vk.com"), {"type": "open_link", "link": "https://vk.com"}),
        (lambda reply: reply.open_app(5), {"type": "open_app", "app_id": 5, "hash": ""}),
        (
            lambda reply: reply.open_app(5, owner_id=-7, hash="x"),
            {"type": "open_app", "app_id": 5, "owner_id": -7, "hash": "x"},
        ),
    ):
        bench = Bench()
        open_it(bench.reply)
        assert bench.answers == [data]


def test_a_button_is_answered_once():
    bench = Bench()
    bench.reply.snackbar("раз")
    with pytest.raises(StateError, match="already"):
        bench.reply.open_link("https://vk.com")
    assert len(bench.answers) == 1


def test_a_long_line_is_cut_to_what_a_snackbar_shows():
    bench = Bench()
    bench.reply.snackbar("я" * 100)
    assert bench.answers == [{"type": "show_snackbar", "text": "я" * MAX_SNACKBAR}]


@pytest.mark.parametrize("text", ["", " ", None, 5])
def test_a_snackbar_without_words_is_refused_and_another_may_follow(text: object):
    bench = Bench()
    with pytest.raises(StateError, match="words"):
        bench.reply.snackbar(text)
    bench.reply.snackbar("готово")


def test_an_answer_that_is_too_long_or_no_json_is_refused_and_another_may_follow():
    bench = Bench()
    frame = len('{"type":"open_link","link":""}')
    with pytest.raises(StateError, match="1000"):
        bench.reply.open_link("x" * (1001 - frame))
    assert Bench().reply.open_link("x" * (1000 - frame)) is None
    with pytest.raises(StateError, match="JSON"):
        bench.reply.open_link(object())
    bench.reply.snackbar("готово")
    assert len(bench.answers) == 1


@pytest.mark.parametrize("end", ["finish", "fail", "superseded", "busy"])
def test_the_wait_is_ended_whatever_becomes_of_the_handler(end: str):
    bench = Bench()
    bench.reply.cancel(end) if end in ("superseded", "busy") else getattr(bench.reply, end)()
    assert bench.answers == [None]


def test_a_handler_that_the_end_of_the_app_cuts_off_leaves_the_answer_to_the_next_process():
    bench = Bench()
    bench.reply.cancel("shutdown")
    assert bench.answers == []
    assert bench.endings == [Ending.CUT_OFF]


def test_messages_are_sent_besides():
    bench = Bench()
    bench.reply.snackbar("пишу")
    bench.reply.write("вот")
    bench.reply.finish()
    assert bench.api.texts(CHAT) == ["вот"]
    assert len(bench.answers) == 1


def test_at_the_end_of_the_minute_nobody_waits_any_more():
    bench = Bench()
    assert bench.reply.deadline == NOW + 60
    bench.now += DEADLINE - 0.01
    assert not bench.reply.stale
    bench.now += 0.01
    assert bench.reply.stale
    with pytest.raises(StateError, match="minute"):
        bench.reply.snackbar("поздно")
    bench.reply.write("но вот")
    bench.reply.finish()
    assert bench.answers == []
    assert bench.api.texts(CHAT) == ["но вот"]


def test_an_answer_that_vk_does_not_take_makes_the_event_failed():
    bench = Bench()
    bench.api.faults["messages.sendMessageEventAnswer"] = [failed(100)]
    bench.reply.snackbar("готово")
    bench.reply.finish()
    assert bench.endings == [Ending.BADLY]


def test_the_answer_that_nobody_asked_for_may_fail():
    bench = Bench()
    bench.api.faults["messages.sendMessageEventAnswer"] = [failed(100)]
    bench.reply.finish()
    assert bench.endings == [Ending.WELL]


def test_the_event_is_not_done_before_the_button_is_answered():
    bench = Bench()
    bench.api.held = True
    bench.reply.finish()
    bench.reply.finish()
    assert bench.endings == []
    bench.api.answer_all()
    assert bench.endings == [Ending.WELL]


def test_without_a_token_nothing_can_be_answered():
    bench = Bench(answerable=False)
    with pytest.raises(StateError, match="no token"):
        bench.reply.snackbar("готово")
    bench.reply.finish()
    assert bench.endings == [Ending.WELL]


def test_a_finished_reply_answers_no_button():
    bench = Bench()
    bench.reply.finish()
    with pytest.raises(StateError, match="finished"):
        bench.reply.snackbar("поздно")
