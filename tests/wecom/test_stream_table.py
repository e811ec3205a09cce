"""rawbot/wecom/stream_table.py: ids, bounds, time-outs; and a model that streams and table are held against."""

import gc
import json
import sys
from dataclasses import dataclass
from types import MemberDescriptorType

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from open_streams import WAITING, look, make_table, opened, pass_time, sent, user_message
from wecom_callbacks import PNG, T0, URL

from rawbot.errors import ConfigError
from rawbot.wecom.deliveries import FETCHED_WITHIN, LIFETIME
from rawbot.wecom.markdown import TEXT_LIMIT, is_visible, prefix
from rawbot.wecom.phases import Phase
from rawbot.wecom.stream_table import SLACK, StreamTable
from rawbot.wecom.streams import Stream

MANY = 20_000
NAN = float("nan")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *(("watchdog", value) for value in (0.0, 360.0, NAN, float("inf"), "330", None, True)),
        *(("keep", value) for value in (359.0, NAN, "420", None)),
        *(("max_text_bytes", value) for value in (2 * TEXT_LIMIT - 1, NAN, 1e6)),
        *(("max_bytes", value) for value in (2**18 - 1, NAN, 1e9)),
        *(("max_streams", value) for value in (0, NAN, 1.5, "1000", True)),
        *(("waiting", value) for value in ("", " \u200b", None)),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_name(setting: str, value: object):
    with pytest.raises(ConfigError, match=setting):
        make_table(**{setting: value})


def test_settings_may_be_as_small_as_they_work():
    assert make_table(keep=360.0, max_text_bytes=2 * TEXT_LIMIT, max_bytes=2 * TEXT_LIMIT, max_streams=1) is not None


def test_ids_are_never_used_twice():
    table = make_table()
    ids = [opened(table).id, table.new_id(), opened(table).id]
    assert len(set(ids)) == 3
    assert all(i.startswith("boot-") for i in ids)


def test_a_stream_is_found_while_it_is_open_and_kept_seven_minutes_after_its_end():
    table = make_table()
    stream = opened(table)
    table.tick(T0 + 300)
    stream.finish()
    for now in (T0 + 300, T0 + 300 + 360, T0 + 300 + 419):
        table.tick(now)
        assert table.get(stream.id, now) is stream
    table.tick(T0 + 300 + 420)
    assert table.get(stream.id, T0 + 720) is None
    assert table.get("boot-ff", T0) is None


def test_the_watchdog_ends_streams_in_their_order_and_only_those():
    table = make_table()
    first, done = opened(table), opened(table)
    done.finish()
    later = table.open(user_message("m3"), T0 + 1)
    assert later is not None
    table.tick(T0 + 329)
    assert not first.overdue
    table.tick(T0 + 330)
    assert (first.overdue, done.overdue, later.overdue) == (True, False, False)
    table.tick(T0 + 331)
    assert later.overdue
    assert table.open_streams == 0


@pytest.mark.parametrize("step", [5.0, 3600.0, 1e9])
def test_a_clock_that_is_set_back_neither_blocks_the_watchdog_nor_hurries_it(step: float):
    table = make_table()
    before = opened(table)
    table.tick(T0 + 100)
    table.tick(T0 + 100 - step)
    after = table.open(user_message("m2"), T0 + 101 - step)
    assert after is not None
    table.tick(T0 + 329.5 - step)
    assert not before.overdue
    table.tick(T0 + 330.5 - step)
    assert (before.overdue, after.overdue) == (True, False)
    table.tick(T0 + 430.5 - step)
    assert not after.overdue
    table.tick(T0 + 431.5 - step)
    assert after.overdue


def test_a_clock_that_is_set_back_keeps_what_is_over_no_longer():
    table = make_table()
    stream = opened(table)
    stream.finish()
    assert table.get(stream.id, T0 - 3600) is stream
    assert table.get(stream.id, T0 - 3600 + 419) is stream
    assert table.get(stream.id, T0 - 3600 + 421) is None
    table.tick(T0 - 3600 + 421)
    assert len(table) == 0


def test_how_long_a_response_url_is_good_is_told_in_the_clock_s_own_time():
    table = make_table()
    table.tick(T0 - 3600)
    stream = table.open(user_message(), T0 - 3600)
    assert stream is not None
    stream.write("x" * (TEXT_LIMIT + 1))
    stream.finish()
    look(stream)
    request = table.deliveries.next_request(T0 - 3600)
    assert request is not None
    assert request.expires_at == T0 - 3600 + LIFETIME


def test_a_sender_s_open_streams_are_counted():
    table = make_table()
    first, second = opened(table), opened(table)
    opened(table, **{"from": {"userid": "lisi"}})
    assert (table.in_flight("zhangsan"), table.in_flight("lisi"), table.in_flight("wangwu")) == (2, 1, 0)
    first.finish()
    assert table.in_flight("zhangsan") == 1
    second.expire()
    assert table.in_flight("zhangsan") == 0
    table.tick(T0 + 330)
    assert table._in_flight == {}


def test_an_end_is_unsettled_till_the_platform_has_fetched_it_or_cannot_any_more():
    table = make_table()
    fetched, forgotten, overdue = (opened(table) for _ in range(3))
    assert table.unsettled == 3
    look(fetched)
    assert table.unsettled == 3
    fetched.finish()
    forgotten.finish()
    look(fetched)
    look(fetched)
    assert table.unsettled == 2
    table.tick(T0 + 330)
    look(overdue)
    assert table.unsettled == 1
    table.tick(T0 + 1000)
    assert (table.unsettled, len(table)) == (0, 0)
    look(forgotten)  # by a request that was waiting
    assert table.unsettled == 0


def test_the_oldest_that_are_over_make_room_and_open_ones_do_not():
    table = make_table(max_streams=3)
    streams = [opened(table) for _ in range(3)]
    assert table.open(user_message(), T0) is None
    streams[1].finish()
    streams[0].finish()
    fourth = opened(table)
    assert [table.get(s.id, T0) is s for s in (*streams, fourth)] == [True, False, True, True]
    opened(table)
    assert table.open(user_message(), T0) is None
    assert len(table) == 3


def test_bytes_are_bounded_as_streams_are():
    table = make_table(max_bytes=100_000, max_text_bytes=50_000)
    old, big = opened(table), opened(table)
    old.attach_image(PNG + bytes(30_000))
    old.finish()
    assert table.bytes_held > 40_000
    big.write("x" * 50_000)
    big.attach_image(PNG + bytes(30_000))
    assert table.get(old.id, T0) is None
    assert old._enclosed is None or not old._enclosed.images
    assert 90_000 < table.bytes_held <= 100_000
    big.write("x" * 50_000)
    assert table.bytes_held <= 100_000
    opened(table).write("x" * 9_000)
    big.finish()
    opened(table).write("x" * 50_000)
    assert table.bytes_held <= 100_000
    table.tick(T0 + 330)
    table.tick(T0 + 1000)
    assert table.bytes_held == 0


def test_what_finds_no_room_is_not_counted():
    table = make_table(max_bytes=50_000, max_text_bytes=50_000)
    first, second = opened(table), opened(table)
    first.write("x" * 40_000)
    look(second)
    second.write("y" * 20_000)
    assert (second.text, second.has_news("r2"), table.bytes_held) == ("", False, 40_000)
    table.tick(T0 + 330)
    table.tick(T0 + 1000)
    assert table.bytes_held == 0


def test_a_full_table_refuses_new_streams():
    table = make_table(max_bytes=50_000, max_text_bytes=50_000)
    stream = opened(table)
    stream.write("x" * 50_000)
    assert table.open(user_message(), T0) is None
    stream.replace("x")
    assert table.bytes_held == 1
    assert table.open(user_message(), T0) is not None


def test_polling_costs_the_same_however_often_was_written():
    table = make_table()
    stream = opened(table)
    for _ in range(10_000):
        stream.write("x")
    assert look(stream) == ("x" * 10_000, False)  # one look shows all of it: there is no queue
    assert len(stream._parts) == 0
    stream.write("y")
    assert look(stream)[0].endswith("xy")


def test_a_tick_looks_only_at_what_is_due(monkeypatch: pytest.MonkeyPatch):
    table = make_table(max_streams=1000)
    streams = [opened(table) for _ in range(1000)]
    for stream in streams[:500]:
        stream.finish()
    looks: list[str] = []
    monkeypatch.setattr(Stream, "due_at", CountingSlot(Stream.due_at, looks))
    table.tick(T0 + 1)
    assert looks == [streams[500].id, streams[0].id]  # the first that is open, and the first that is over


class CountingSlot:
    """A slot that notes which objects' value is looked at."""

    def __init__(self, slot: MemberDescriptorType, looks: list[str]) -> None:
        self.slot = slot
        self.looks = looks

    def __get__(self, stream: Stream, owner: type) -> float:
        self.looks.append(stream.id)
        return self.slot.__get__(stream, owner)

    def __set__(self, stream: Stream, value: float) -> None:
        self.slot.__set__(stream, value)


def test_the_watchdog_s_queue_forgets_those_that_ended_behind_one_that_goes_on():
    table = make_table()
    first = opened(table)
    for _ in range(5 * SLACK):
        stream = opened(table)
        stream.finish()
        assert len(table._begun) <= 2 + SLACK
    table.tick(T0 + 330)
    assert (first.overdue, table.expired, table.open_streams, len(table._begun)) == (True, 1, 0, 0)


def test_the_watchdog_s_queue_is_empty_while_streams_end_in_their_turn():
    table = make_table()
    for _ in range(3):
        first, second = opened(table), opened(table)
        first.finish()
        assert list(table._begun) == [second.id]
        second.finish()
        assert list(table._begun) == []


def test_a_sweep_of_the_watchdog_s_queue_keeps_those_that_are_open():
    table = make_table(max_streams=10_000)
    left, longest = [], 0
    for number in range(5 * SLACK):
        stream = opened(table)
        if number % 10:
            stream.finish()
        else:
            left.append(stream)
        longest = max(longest, len(table._begun))
        assert len(table._begun) <= 2 * table.open_streams + SLACK + 1
    assert longest > max(SLACK, len(table._begun))  # it was swept
    assert [stream_id for stream_id in table._begun if table.get(stream_id, T0).phase is Phase.OPEN] == [
        stream.id for stream in left
    ]
    table.tick(T0 + 330)
    assert all(stream.overdue for stream in left)
    assert (table.expired, table.open_streams, len(table._begun)) == (len(left), 0, 0)


def test_the_table_s_memory_is_returned_when_all_is_over():
    table = make_table(max_streams=2000)
    for number in range(2000):
        opened(table, **{"from": {"userid": f"u{number}"}})
    assert min(sys.getsizeof(table._streams), sys.getsizeof(table._in_flight)) > 50_000
    table.tick(T0 + 330)
    assert sys.getsizeof(table._in_flight) <= sys.getsizeof({1: 1})
    table.tick(T0 + 330 + 420)
    assert len(table) == 0
    assert sys.getsizeof(table._streams) <= sys.getsizeof({1: 1})


@pytest.mark.parametrize("late", [False, True])
def test_a_forgotten_stream_holds_no_words_once_all_is_said(late: bool):  # noqa: FBT001 - a state
    table = make_table()
    stream = opened(table)
    stream.write("said")
    table.tick(T0 + 330 * late)
    if not late:
        stream.finish()
    stream.write(" and on") if late else None
    table.tick(T0 + 330 + 420)
    assert len(table) == 0
    assert stream.text == ("said and on" if late else "")
    stream.finish()
    assert [body["markdown"]["content"] for body in sent(table.deliveries)] == [" and on"] * late


def test_streams_leave_nothing_behind():
    message = user_message()
    table = make_table(max_streams=2 * MANY)
    gc.collect()
    before = sys.getallocatedblocks()
    now = T0
    for number in range(MANY):
        now = T0 + number * 0.001
        table.tick(now)
        stream = table.open(message, now)
        assert stream is not None
        if number % 10:  # each tenth is left to the watchdog
            stream.write("an answer")
            stream.finish()
    del stream
    assert len(table) == MANY
    peak = sys.getallocatedblocks() - before
    assert peak > 3 * MANY
    table.tick(now + 330)
    table.tick(now + 330 + 420)
    gc.collect()
    assert (len(table), table.open_streams, table.bytes_held, table.unsettled) == (0, 0, 0, 0)
    assert table._in_flight == {}
    assert sys.getallocatedblocks() - before < peak / 100


@dataclass
class Model:
    """What is known of one stream without looking inside."""

    stream: Stream
    opened_at: float
    text: str = ""
    over: bool = False
    done: bool = False
    seen: str | None = None
    """What the platform saw last."""
    grown: bool = True
    """Whether nothing was replaced since then."""
    last: bytes | None = None
    """The last frame, once it was seen."""
    url: str = ""
    done_at: float = 0.0


PIECES = st.sampled_from(["a", "你好", "\n\n", " ", "\u200b", "😀", "```\n", "x" * 9_000, "好 " * 4_000, "y" * 20_000])


class StreamsAgainstAModel(RuleBasedStateMachine):
    """Bots write, the platform polls, time passes, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = T0
        self.table: StreamTable = make_table(max_streams=6, max_bytes=70_000, max_text_bytes=60_000)
        self.models: list[Model] = []
        self.urls: set[str] = set()

    def pick(self, data: st.DataObject, *, undone: bool = False) -> Model | None:
        models = [m for m in self.models if not (undone and m.done)]
        return data.draw(st.sampled_from(models), label="stream") if models else None

    @rule()
    def a_message_comes(self) -> None:
        message = user_message(response_url=f"{URL}{len(self.urls)}")
        self.urls.add(message.response_url)
        stream = self.table.open(message, self.now)
        room = len([m for m in self.models if not m.over]) < 6 and self.table.bytes_held < 70_000
        assert (stream is not None) == room
        if stream is not None:
            self.models.append(Model(stream, self.now, url=message.response_url))

    @rule(data=st.data(), piece=PIECES)
    def a_bot_writes(self, data: st.DataObject, piece: str) -> None:
        if model := self.pick(data, undone=True):
            model.stream.write(piece)
            model.text = model.stream.text if model.stream._cut else model.text + piece
            assert model.stream.text == model.text

    @rule(data=st.data(), piece=PIECES)
    def a_bot_writes_anew(self, data: st.DataObject, piece: str) -> None:
        if model := self.pick(data, undone=True):
            model.stream.replace(piece)
            model.text = model.stream.text if model.stream._cut else piece
            assert model.stream.text == model.text
            model.grown = False

    @rule(data=st.data(), end=st.sampled_from([("finish",), ("fail",), ("cancel", "superseded")]))
    def a_handler_ends(self, data: st.DataObject, end: tuple[str, ...]) -> None:
        if model := self.pick(data):
            getattr(model.stream, end[0])(*end[1:])
            model.done_at = model.done_at if model.done else self.now
            model.over = model.done = True
            assert model.stream.finished

    @rule(data=st.data(), msgid=st.sampled_from(["m1", "r1", "r2"]))
    def the_platform_polls(self, data: st.DataObject, msgid: str) -> None:
        model = self.pick(data)
        if model is None or self.table.get(model.stream.id, self.now) is None:  # nobody gets to see a forgotten one
            return
        frame = model.stream.frame(msgid)
        body = json.loads(frame)["stream"]
        content = body["content"]
        assert body["finish"] == model.over
        assert 0 < len(content.encode()) <= TEXT_LIMIT
        if model.over:
            assert is_visible(content)
            assert model.last in (None, frame)
            model.last = frame
            return
        newest = prefix(model.text, TEXT_LIMIT)
        assert content == (newest if is_visible(newest) else WAITING)
        if model.grown and model.seen not in (None, WAITING):
            assert content.startswith(model.seen)
        model.seen, model.grown = content, True

    @rule(seconds=st.sampled_from([0.0, 1.0, 5.0, 60.0, 200.0, 330.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        pass_time(self.table, self.now)
        for model in self.models:
            model.over = model.over or model.opened_at + 330 <= self.now

    @precondition(lambda self: self.models)
    @invariant()
    def the_counts_are_true(self) -> None:
        held = [m.stream for m in self.models if self.table.get(m.stream.id, self.now) is not None]
        assert self.table.open_streams == len([m for m in self.models if not m.over])
        assert self.table.open_streams <= len(held) <= len(self.table) <= 6
        assert 0 <= self.table.bytes_held <= 70_000
        assert sum(len(m.stream.text.encode()) for m in self.models if not m.over) <= self.table.bytes_held
        assert 0 <= self.table.unsettled <= len(self.table)
        assert self.table.in_flight("zhangsan") == self.table.open_streams

    @invariant()
    def what_follows_comes_second(self) -> None:
        posted = {request.url for request in self.table.deliveries._ready}
        for model in self.models:
            if model.url in posted and model.last is None and self.table.get(model.stream.id, self.now) is not None:
                assert model.done_at + FETCHED_WITHIN <= self.now

    def teardown(self) -> None:
        for model in self.models:
            model.stream.finish()
        self.table.tick(self.now)
        self.table.tick(self.now + 1000)
        assert (len(self.table), self.table.bytes_held, self.table.unsettled) == (0, 0, 0)
        assert (self.table._in_flight, len(self.table.deliveries._held)) == ({}, 0)
        deliveries = self.table.deliveries
        urls = [request.url for request in deliveries._ready]
        assert len(urls) == len(set(urls))  # one use each
        assert all(is_visible(body["markdown"]["content"]) for body in sent(deliveries))
        assert deliveries.lost == 0


TestStreamsAgainstAModel = StreamsAgainstAModel.TestCase
TestStreamsAgainstAModel.settings = settings(deadline=None, max_examples=40, stateful_step_count=40)
