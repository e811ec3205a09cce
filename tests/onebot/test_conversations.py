"""rawbot/onebot/conversations.py against a model that looks at everything, and what it holds no longer."""

import gc
import time
import weakref
from dataclasses import dataclass, field

import pytest
from fake_endpoint import FakeReply
from gateway_replies import FullReply, make_event
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rawbot.onebot import conversations as module
from rawbot.onebot.conversations import LOOK_AT, MAX_REPLIES, REMEMBERED, Conversations, Target, Turn
from rawbot.onebot.messages import Account

T0 = 1_700_000_000.0
BOT = Account("wecom", "BOT")
USERS = ("zhangsan", "lisi")
GROUPS = ("", "wr-1")
HOLDS = (0.5, 4.0, 30.0)


def target(user: str = "zhangsan", group: str = "") -> Target:
    return Target("wecom", "BOT", "group" if group else "private", group or user)


@dataclass(eq=False)
class Known:
    """What a model knows of one turn."""

    turn: Turn
    reply: FullReply
    noted_at: float
    ends_at: float = 0.0
    """When it is to come out of `expire`; 0 while it is not held."""


@dataclass
class Model:
    turns: list[Known] = field(default_factory=list)
    last: float = 0.0
    """When somebody spoke there last."""
    look_at: int = LOOK_AT

    def add(self, known: Known, now: float) -> None:
        if self.last + REMEMBERED <= now:
            self.turns, self.look_at = [], LOOK_AT
        if len(self.turns) >= self.look_at:
            over = [k for k in self.turns if k.reply.finished and not k.turn.spent]
            over = [k for k in over if k.noted_at + REMEMBERED > now][-MAX_REPLIES:]
            self.turns = [k for k in self.turns if not k.reply.finished or k in over]
            self.look_at = max(LOOK_AT, 2 * len(self.turns))
        self.turns.append(known)
        self.last = now


class ConversationsAgainstAModel(RuleBasedStateMachine):
    """Users speak, replies are held, held on, released and finished, and time passes, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = T0
        self.conversations = Conversations()
        self.models: dict[Target, Model] = {}
        self.all: list[Known] = []

    def pick(self, data: st.DataObject) -> Known | None:
        return data.draw(st.sampled_from(self.all[-8:])) if self.all else None

    @rule(user=st.sampled_from(USERS), group=st.sampled_from(GROUPS), hold=st.sampled_from((0.0, *HOLDS)))
    def somebody_speaks(self, user: str, group: str, hold: float) -> None:
        reply = FullReply()
        event = make_event(message_id=f"m{len(self.all)}", sender=user, group=group, reply=reply)
        turn = self.conversations.note(event, BOT, self.now, lambda _: None)
        known = Known(turn, reply, self.now)
        self.models.setdefault(target(user, group), Model()).add(known, self.now)
        self.all.append(known)
        if hold:
            self.conversations.hold(turn, self.now + hold)
            known.ends_at = self.now + hold

    @rule(data=st.data(), hold=st.sampled_from(HOLDS))
    def a_reply_is_held_on(self, data: st.DataObject, hold: float) -> None:
        known = self.pick(data)
        if known is not None and not known.reply.finished:
            self.conversations.hold(known.turn, self.now + hold)
            known.ends_at = max(known.ends_at, self.now + hold)

    @rule(data=st.data())
    def a_reply_is_answered(self, data: st.DataObject) -> None:
        known = self.pick(data)
        if known is not None:
            known.reply.finish()
            self.conversations.release(known.turn)
            known.ends_at = 0.0

    @rule(data=st.data())
    def a_handler_fails(self, data: st.DataObject) -> None:
        known = self.pick(data)
        if known is not None:
            known.reply.fail()

    @rule(data=st.data())
    def a_reply_is_followed_up(self, data: st.DataObject) -> None:
        known = self.pick(data)
        if known is not None and known.reply.finished:
            known.turn.spent = True

    @rule(seconds=st.sampled_from([0.0, 0.4, 3.0, 30.0, 1200.0, REMEMBERED]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        ended = list(self.conversations.expire(self.now))
        for known in self.all:
            if known.turn in ended:
                assert 0 < known.ends_at <= self.now or known.reply.finished
                known.ends_at = 0.0
            else:
                assert not 0 < known.ends_at <= self.now
        assert not any(turn.held for turn in ended)
        assert len(ended) == len(set(ended))

    @rule()
    def the_bot_goes_down(self) -> None:
        released = self.conversations.release_all()
        assert set(released) == {known.turn for known in self.all if known.ends_at}
        assert len(self.conversations) == 0
        for known in self.all:
            known.ends_at = 0.0

    @rule(
        data=st.data(),
        user=st.sampled_from(("", *USERS)),
        place=st.sampled_from([(u, g) for u in USERS for g in GROUPS]),
    )
    def something_is_to_be_sent(self, data: st.DataObject, user: str, place: tuple[str, str]) -> None:
        where = target(*place)
        model = self.models.get(where)
        named = self.pick(data) if data.draw(st.booleans()) else None
        meant = self.conversations.find(where, named.turn.message_id if named else "", user, self.now)
        assert (meant is not None) == (model is not None and model.last + REMEMBERED > self.now)
        if meant is None or model is None:
            return
        there = [k for k in reversed(model.turns) if not k.reply.finished or k.noted_at + REMEMBERED > self.now]
        expected = [k for k in there if k is named] or [k for k in there if k.turn.sender == user] or there
        assert meant.turns == [known.turn for known in expected]
        assert meant.others == [known.turn for known in there if known not in expected]
        assert meant.open is next((known.turn for known in expected if not known.reply.finished), None)

    @invariant()
    def it_counts_what_is_held(self) -> None:
        assert len(self.conversations) == len([known for known in self.all if known.ends_at])
        assert all(known.turn.held == bool(known.ends_at) for known in self.all)

    @invariant()
    def it_knows_who_has_spoken(self) -> None:
        for user in USERS:
            lately = [model.last for where, model in self.models.items() if where.detail_type == "private"]
            spoken = [known.noted_at for known in self.all if known.turn.sender == user]
            assert self.conversations.knows(BOT, user, self.now) == any(at + REMEMBERED > self.now for at in spoken)
            alone = self.models.get(target(user))
            is_friend = alone is not None and alone.last + REMEMBERED > self.now
            assert (user in self.conversations.users(BOT, self.now)) == is_friend
            assert len(self.conversations.users(BOT, self.now)) <= len(lately)

    def teardown(self) -> None:
        for turn in self.conversations.expire(self.now + 1000):
            assert not turn.held
        assert len(self.conversations) == 0
        assert self.conversations._due == []
        list(self.conversations.expire(self.now + 2 * REMEMBERED))
        assert (len(self.conversations._known), len(self.conversations._users)) == (0, 0)


ConversationsAgainstAModel.TestCase.settings = settings(deadline=None, max_examples=100, stateful_step_count=40)
TestConversationsAgainstAModel = ConversationsAgainstAModel.TestCase


def note(conversations: Conversations, now: float = T0, **more: object) -> Turn:
    return conversations.note(make_event(**more), BOT, now, lambda _: None)


def test_a_conversation_has_its_platform_its_bot_and_its_kind():
    conversations = Conversations()
    note(conversations)
    others = (
        Target("vk", "BOT", "private", "zhangsan"),
        Target("wecom", "ANOTHER", "private", "zhangsan"),
        Target("wecom", "BOT", "group", "zhangsan"),
        Target("wecom", "BOT", "private", "lisi"),
    )
    assert conversations.find(target(), "", "", T0) is not None
    assert [conversations.find(other, "", "", T0) for other in others] == [None] * 4
    assert not conversations.knows(Account("wecom", "ANOTHER"), "zhangsan", T0)
    assert conversations.users(Account("vk", "BOT"), T0) == []


def test_a_message_that_was_named_and_is_answered_is_not_taken_for_another_that_is_open():
    conversations = Conversations()
    answered, still_open = note(conversations, message_id="a"), note(conversations, message_id="b")
    answered.reply.finish()
    meant = conversations.find(target(), "a", "", T0)
    assert (meant.turns, meant.others, meant.open) == ([answered], [still_open], None)


def test_in_a_group_a_user_s_reply_goes_before_a_newer_one_of_somebody_else_s():
    conversations = Conversations()
    first = note(conversations, group="wr-1", sender="lisi", message_id="a")
    second = note(conversations, group="wr-1", sender="zhangsan", message_id="b")
    where = target(group="wr-1")
    assert conversations.find(where, "", "lisi", T0).open is first
    assert conversations.find(where, "", "", T0).open is second
    assert conversations.find(where, "", "wangwu", T0).open is second
    assert conversations.find(where, "b", "lisi", T0).open is second


def test_what_was_said_is_let_go_with_the_event():
    conversations = Conversations()
    message = FakeReply()  # anything that can be referred to weakly
    event = make_event(message=message)
    turn = conversations.note(event, BOT, T0, lambda _: None)
    seen = weakref.ref(message)
    del event, message
    gc.collect()
    assert seen() is None
    assert not turn.reply.finished


def kept(conversations: Conversations) -> int:
    return len(conversations._known.get(target(), T0).turns)


def test_a_conversation_keeps_all_replies_that_are_open():
    conversations = Conversations()
    turns = [note(conversations, message_id=f"m{number}") for number in range(1000)]
    assert conversations.find(target(), "", "", T0).turns == turns[::-1]
    for turn in turns[1:]:
        turn.reply.finish()
    for number in range(3 * LOOK_AT):
        note(conversations, message_id=f"n{number}").reply.finish()
    assert conversations.find(target(), "m0", "", T0).open is turns[0]


@pytest.mark.parametrize("spent", [False, True])
def test_of_finished_replies_it_keeps_a_few(spent: bool):  # noqa: FBT001 - a state
    conversations = Conversations()
    for number in range(1000):
        turn = note(conversations, message_id=f"m{number}")
        turn.reply.finish()
        turn.spent = spent
        assert kept(conversations) <= LOOK_AT
    assert kept(conversations) > MAX_REPLIES * (not spent)
    assert conversations.find(target(), "m999", "", T0).turns == [
        turn
    ]  # the newest stays, since it can say why nothing follows


def test_a_reply_on_a_channel_without_follow_ups_is_let_go():
    conversations = Conversations()
    for _ in range(1000):
        note(conversations, reply=FakeReply()).reply.finish()
        assert kept(conversations) <= LOOK_AT


def test_what_a_thousand_users_of_a_group_say_costs_the_same_however_many_wait():
    conversations = Conversations()
    start = time.perf_counter()
    for number in range(20_000):  # all together would be 200,000,000 looks
        note(conversations, group="wr-1", sender=f"u{number}")
    assert time.perf_counter() - start < 5


def test_a_message_of_long_ago_is_not_followed_up_though_the_conversation_goes_on():
    conversations = Conversations()
    old = note(conversations, message_id="old")
    old.reply.finish()
    new = note(conversations, T0 + REMEMBERED - 1, message_id="new")
    assert conversations.find(target(), "old", "", T0 + REMEMBERED - 1).turns == [old]
    assert conversations.find(target(), "old", "", T0 + REMEMBERED).turns == [new]


def test_more_conversations_than_there_is_room_for_crowd_out_the_oldest(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_CONVERSATIONS", 3)
    conversations = Conversations()
    turns = [note(conversations, sender=f"u{number}") for number in range(5)]
    for turn in turns:
        conversations.hold(turn, T0 + 1)
    assert conversations.users(BOT, T0) == ["u2", "u3", "u4"]
    assert not conversations.knows(BOT, "u0", T0)
    assert list(conversations.expire(T0 + 1)) == turns  # what cannot be found any more ends all the same


def test_a_settled_turn_is_one_where_something_was_said():
    for say in (
        lambda t: t.reply.write("x"),
        lambda t: t.reply.attach_images([b"x"]),
        lambda t: setattr(t, "answered", True),
    ):
        turn = note(Conversations())
        assert not turn.settled
        say(turn)
        assert turn.settled
        turn.streamed = True
        assert turn.settled is turn.answered
    assert not note(Conversations(), reply=FakeReply()).settled


def test_a_keeper_is_told_once_that_the_handler_is_through():
    told: list[Turn] = []
    event = make_event()
    turn = Conversations().note(event, BOT, T0, told.append)
    turn.returned(event)
    assert (told, turn.has_returned) == ([turn], True)


def test_prolonging_costs_nothing_however_often():
    conversations = Conversations()
    turn = note(conversations)
    for number in range(1000):
        conversations.hold(turn, T0 + 1 + number)
    assert (len(conversations), len(conversations._due)) == (1, 1)
    assert list(conversations.expire(T0 + 999)) == []
    assert list(conversations.expire(T0 + 1000)) == [turn]


def test_a_turn_is_not_held_for_a_shorter_time_than_it_was_to_be():
    conversations = Conversations()
    turn = note(conversations)
    conversations.hold(turn, T0 + 4)
    conversations.hold(turn, T0 + 1)
    assert list(conversations.expire(T0 + 3)) == []
    assert list(conversations.expire(T0 + 4)) == [turn]
