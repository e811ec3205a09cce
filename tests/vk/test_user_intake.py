"""rawbot/vk/user_intake.py: an account's updates as events, each message once."""

from math import inf

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vk_calling import NOW
from vk_polling import FakeJournal

from rawbot.errors import ProtocolError
from rawbot.event import MESSAGE, Event
from rawbot.vk import user_objects
from rawbot.vk.event_types import EVENT_TYPES
from rawbot.vk.intake import Refusal
from rawbot.vk.peers import CHAT_BASE
from rawbot.vk.random_ids import random_id
from rawbot.vk.register import WINDOW, Register
from rawbot.vk.user_intake import ECHO, INCOMPLETE, KINDS, UserIntake
from rawbot.vk.user_objects import MessageUpdate, NewMessage, RawUpdate, UserEvent

FRIEND, CHAT = 5, CHAT_BASE + 7
OUTBOX = 2


class FakeApi:
    """Answers each call at once."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, object]]] = []
        self.answer: object = 1

    def submit(self, method: str, params: dict[str, object], on_done: object) -> None:
        self.calls.append((method, params))
        on_done(self.answer)

    def upload(self, *_: object) -> None:
        raise AssertionError

    def waiting(self) -> int:
        return 0


def intake(api: FakeApi | None = None, account: str = "me", **options: object) -> UserIntake:
    return UserIntake(account, api or FakeApi(), register=Register(), entropy=lambda n: b"\1" * n, **options)


def message(number: int, text: str = "привет", *, flags: int = 1, peer: int = FRIEND, **extra: str) -> list[object]:
    return [4, number, flags, peer, 1_700_000_000, text, {"title": " ... "} | extra, {}, 0]


def take(of: UserIntake, update: object, now: float = NOW) -> Event:
    event = of.take(update, now)
    assert isinstance(event, Event)
    return event


def test_a_message_that_came_is_told_and_answered_with_a_random_id_of_its_own():
    api = FakeApi()
    these = intake(api)
    event = take(these, message(17, "a &amp; b<br>c"))
    assert (event.kind, event.platform, event.text) == (MESSAGE, "vk", "a & b\nc")
    assert (event.chat, event.sender, event.message_id, event.group) == ("me/5", "5", "17", "")
    assert isinstance(event.message, NewMessage)
    event.reply.write("да")
    event.reply.finish()
    expected = {"peer_id": FRIEND, "random_id": random_id(0, "user:me:17", 1), "message": "да"}
    assert api.calls == [("messages.send", expected)]
    assert len(these) == 0


def test_a_message_in_a_chat_has_its_author():
    event = take(intake(), message(17, peer=CHAT, **{"from": "99"}))
    assert (event.chat, event.sender, event.group) == (f"me/{CHAT}", "99", str(CHAT))


def test_messages_of_a_community_or_of_a_bot_are_told_too():
    assert take(intake(), message(17, peer=-3)).sender == "-3"


def test_what_the_account_sends_itself_is_left_out_unless_it_is_wanted():
    these = intake()
    assert these.take(message(17, flags=1 | OUTBOX), NOW) is Refusal.ECHO
    assert these.refused == {Refusal.ECHO: 1}
    assert take(intake(echoes=True), message(17, flags=1 | OUTBOX)).kind == ECHO == "message_reply"


@pytest.mark.parametrize("update", [[4, 17, 1], [4, 17, 1, FRIEND], [4, 17, 1, FRIEND, 1_700_000_000]])
def test_a_message_of_which_little_came_is_no_message_to_be_answered(update: list[object]):
    event = take(intake(), update)
    assert (event.kind, event.text, event.message_id) == (INCOMPLETE, "", "17")


@pytest.mark.parametrize(
    ("update", "kind", "chat", "sender"),
    [
        ([1, 17, 35], "message_flags", "me/", ""),
        ([2, 17, 128, FRIEND], "message_flags", "me/5", "5"),
        ([3, 17, 1, FRIEND], "message_flags", "me/5", "5"),
        ([5, 17, 1, FRIEND, 1_700_000_000, "новый", {}, {}], "message_edit", "me/5", "5"),
        ([6, FRIEND, 17, 0], "message_read", "me/5", ""),
        ([7, FRIEND, 17, 0], "message_read", "me/5", ""),
        ([8, -FRIEND, 7, 1_700_000_000], "presence", "me/5", "5"),
        ([9, -FRIEND, 0, 1_700_000_000], "presence", "me/5", "5"),
        ([10, -3, 1], "dialog_flags", "me/-3", ""),
        ([13, FRIEND, 17], "messages_deleted", "me/5", ""),
        ([14, FRIEND, 17], "messages_restored", "me/5", ""),
        ([20, FRIEND, 1], "dialog_moved", "me/5", ""),
        ([51, 7, 0], "chat_changed", f"me/{CHAT}", ""),
        ([52, 1, CHAT, 0], "chat_info_changed", f"me/{CHAT}", ""),
        ([61, FRIEND, 1], "message_typing_state", "me/5", "5"),
        ([62, FRIEND, 7], "message_typing_state", f"me/{CHAT}", "5"),
        ([63, [FRIEND, 6], CHAT, 2, 1_700_000_000], "message_typing_state", f"me/{CHAT}", "5"),
        ([64, CHAT, [], 0, 1_700_000_000], "message_typing_state", f"me/{CHAT}", ""),
        ([70, FRIEND, 1], "call", "me/5", "5"),
        ([80, 3, 0], "counter", "me/", ""),
        ([114, {"peer_id": CHAT, "sound": 1, "disabled_until": 0}], "notification_settings", f"me/{CHAT}", ""),
        ([999, 1, "x"], "update_999", "me/", ""),
        ([7, "?"], "update_7", "me/", ""),
        ([10004, 1], "update_10004", "me/", ""),
    ],
)
def test_all_else_is_told_by_name(update: list[object], kind: str, chat: str, sender: str):
    these = intake()
    for _ in range(2):  # twice is no harm
        event = take(these, update)
        assert (event.kind, event.chat, event.sender) == (kind, chat, sender)
    assert len(these) == 2


def test_each_kind_of_update_has_a_name_of_its_own_and_no_name_is_a_message_s():
    names = [*KINDS.values(), ECHO, INCOMPLETE]
    assert len(set(names)) == len(names)
    assert MESSAGE not in names
    assert {"message_edit", "message_read", "message_typing_state", ECHO, INCOMPLETE} <= EVENT_TYPES
    updates = {
        value for value in vars(user_objects).values() if isinstance(value, type) and issubclass(value, UserEvent)
    }
    assert set(KINDS) | {NewMessage} == updates - {UserEvent, MessageUpdate, RawUpdate}


def test_to_something_without_a_dialog_nothing_can_be_said():
    event = take(intake(), [80, 3])
    with pytest.raises(Exception, match="nothing can be sent"):
        event.reply.write("?")
    event.reply.finish()


@pytest.mark.parametrize("update", [None, 5, "x", {}, [], ["4", 1], [None], [True], [4.0]])
def test_what_is_no_update_is_refused(update: object):
    with pytest.raises(ProtocolError):
        intake().take(update, NOW)


@given(st.lists(st.integers() | st.text(max_size=3) | st.none() | st.dictionaries(st.text(), st.text()), max_size=9))
def test_no_update_raises_anything_else(update: list[object]):
    these = intake()
    try:
        found = these.take(update, NOW)
    except ProtocolError:
        return
    if isinstance(found, Event):
        found.reply.finish()
    assert len(these) == 0


# Each once


def test_a_message_is_told_once_while_it_runs_and_when_it_is_done():
    these = intake()
    event = take(these, message(17))
    assert these.take(message(17), NOW) is Refusal.RUNNING
    event.reply.finish()
    assert these.take(message(17), NOW + WINDOW - 1) is Refusal.DONE
    take(these, message(18))


def test_one_that_has_failed_may_run_again():
    these = intake()
    take(these, message(17)).reply.fail()
    take(these, message(17))
    assert these.ended.total() == 1


def test_the_memory_ends():
    these = intake()
    take(these, message(17)).reply.finish()
    these.tick(NOW + WINDOW)
    take(these, message(17), NOW + WINDOW)
    assert these.deadline == inf


def test_so_many_are_handled_at_once_and_of_one_dialog():
    these = intake(max_running=3, max_per_peer=2)
    first = take(these, message(1))
    assert (first.in_flight, take(these, message(2)).in_flight) == (1, 2)
    assert these.take(message(3), NOW) is Refusal.FULL
    other = take(these, [61, FRIEND, 1])
    assert these.take(message(4, peer=6), NOW) is Refusal.FULL
    other.reply.finish()
    take(these, message(4, peer=6))
    first.reply.finish()
    take(these, message(3))
    assert len(these) == 3


# The journal


def test_a_message_is_kept_till_it_is_done():
    journal = FakeJournal()
    these = intake(journal=journal)
    event = take(these, message(17))
    (entry,) = journal.open
    assert (orjson.loads(entry.key), orjson.loads(entry.body)) == (["user", "me", 17], message(17))
    event.reply.finish()
    assert entry.ended is True


def test_what_tells_only_how_things_stand_is_not_kept():
    journal = FakeJournal()
    these = intake(journal=journal, echoes=True)
    for update in ([61, FRIEND, 1], [4, 17, 1], message(17, flags=OUTBOX), [999]):
        take(these, update).reply.finish()
    assert journal.rows == {}


def test_a_new_process_takes_on_what_the_last_one_has_left():
    journal = FakeJournal()
    first = intake(journal=journal, max_per_peer=9)
    events = [take(first, message(number, str(number))) for number in range(1, 6)]
    events[0].reply.finish()
    events[2].reply.fail()
    events[3].reply.cancel("shutdown")
    again = intake(journal=journal, max_per_peer=1)
    assert [event.text for event in again.recall(NOW + 60)] == ["2", "4", "5"]
    assert (again.recalled, len(again), list(again.recall(NOW + 60))) == (3, 3, [])
    assert again.take(message(1), NOW + 60) is Refusal.DONE
    assert again.take(message(2), NOW + 60) is Refusal.RUNNING


def test_others_entries_are_left_alone():
    journal = FakeJournal()
    journal.append("[1,2]", b"{}", NOW)
    journal.append("no JSON", b"", NOW)
    journal.append('"user"', b"", NOW)
    take(intake(journal=journal, account="other"), message(1))
    these = intake(journal=journal)
    assert these.recall(NOW) == []
    assert [entry.ended for entry in journal.rows.values()] == [None] * 4


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"a"'])
def test_an_entry_that_cannot_be_read_any_more_comes_once(body: bytes):
    journal = FakeJournal()
    journal.append('["user","me",17]', body, NOW)
    assert intake(journal=journal).recall(NOW) == []
    assert [entry.ended for entry in journal.rows.values()] == [False]


def test_an_entry_of_what_is_done_here_is_ended():
    journal = FakeJournal()
    these = intake(journal=journal)
    take(these, message(17)).reply.finish()
    journal.append('["user","me",17]', orjson.dumps(message(17)), NOW)
    assert these.recall(NOW) == []
    assert [entry.ended for entry in journal.rows.values()] == [True]


def test_what_cannot_be_kept_is_not_taken_on():
    journal = FakeJournal()
    these = intake(journal=journal)
    journal.broken = True
    with pytest.raises(OSError, match="full"):
        these.take(message(17), NOW)
    assert (len(these), these.lost) == (0, {"append": 1})
    journal.broken = False
    event = take(these, message(17))
    journal.broken = True
    event.reply.finish()
    these.tick(NOW)
    assert (len(these), these.lost) == (0, {"append": 1, "finish": 1, "forget": 1})


def test_what_nests_too_deeply_to_be_kept_is_refused():
    deep: object = []
    for _ in range(300):
        deep = [deep]
    update = message(17)
    update[6] = {"a": deep}
    with pytest.raises(ProtocolError, match="nests too deeply"):
        intake(journal=FakeJournal()).take(update, NOW)


def test_numbers_are_shown():
    these = intake(journal=FakeJournal())
    take(these, message(17)).reply.finish()
    take(these, message(18))
    these.take(message(18), NOW)
    these.lost["append"] += 1
    found = {".".join([f.name, *(value for _, value in f.labels)]): f.value for f in these.figures()}
    assert (found["vk_updates"], found["vk_updates_running"], found["vk_updates_refused.running"]) == (2, 1, 1)
    assert (found["vk_updates_ended.well"], found["vk_journal_failures.append"]) == (1, 1)
