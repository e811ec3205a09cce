"""rawbot/vk/intake.py: each event once, as many as there is room for, and kept till it is done."""

import orjson
import pytest
from memory_journal import Entry, MemoryJournal
from vk_platform import NOW, FakeApi, failed
from vk_samples import CHAT, GROUP, USER, Json, button, envelope, message, new_message, update

from rawbot.errors import ConfigError, ProtocolError, StateError
from rawbot.event import Event
from rawbot.exchange import Figure
from rawbot.vk.event_replies import DEADLINE, ButtonReply
from rawbot.vk.intake import Intake, Refusal
from rawbot.vk.journal import Journal
from rawbot.vk.messages import Envelope, decode_update
from rawbot.vk.register import WINDOW, Register
from rawbot.vk.replies import Ending
from rawbot.vk.settings import VKGroup

OTHER = GROUP + 1


class Bench:
    """An intake, with a journal that outlives it."""

    def __init__(self, journal: MemoryJournal | None = None, *, stream: str = "final", **options: object) -> None:
        self.api = FakeApi()
        self.journal = journal
        groups = {group_id: VKGroup(stream=stream) for group_id in (GROUP, OTHER)}
        register = options.pop("register", Register())
        apis = {} if options.pop("mute", False) else {GROUP: self.api, OTHER: self.api}
        self.intake = Intake(groups, apis, register=register, journal=journal, **options)

    def take(self, happened: Envelope, now: float = NOW, **more: object) -> Event:
        taken = self.intake.take(happened, now, **more)
        assert isinstance(taken, Event), taken
        return taken

    def figures(self) -> dict[str, float]:
        return {figure.name + "".join(value for _, value in figure.labels): figure.value for figure in self.all()}

    def all(self) -> list[Figure]:
        return list(self.intake.figures())


def event(number: int = 1, *, text: str = "привет", peer_id: int = USER, **more: object) -> Envelope:
    return envelope(value=new_message(text, cmid=number, peer_id=peer_id), event_id=f"{number:040x}", **more)


def pressed(event_id: str = "a" * 40) -> Envelope:
    return envelope("message_event", button(), event_id=event_id)


# Once


def test_an_event_is_taken_on_once_while_it_runs_and_when_it_is_done():
    bench = Bench()
    taken = bench.take(event())
    assert bench.intake.take(event(), NOW + 10) is Refusal.RUNNING
    taken.reply.finish()
    assert bench.intake.take(event(), NOW + 180) is Refusal.DONE
    assert (bench.intake.taken, len(bench.intake)) == (1, 0)


def test_one_that_failed_is_taken_on_again():
    bench = Bench()
    bench.take(event()).reply.fail()
    again = bench.take(event(), NOW + 10)
    again.reply.finish()
    assert bench.intake.take(event(), NOW + 20) is Refusal.DONE
    assert bench.intake.ended == {Ending.BADLY: 1, Ending.WELL: 1}


def test_one_whose_answer_vk_did_not_take_is_taken_on_again():
    bench = Bench()
    bench.api.faults["messages.send"] = [failed(901)]
    first = bench.take(event())
    first.reply.write("a")
    first.reply.finish()
    bench.take(event(), NOW + 10)


def test_one_whose_answer_is_under_way_still_runs():
    bench = Bench()
    bench.api.held = True
    taken = bench.take(event())
    taken.reply.write("a")
    taken.reply.finish()
    assert bench.intake.take(event(), NOW) is Refusal.RUNNING
    bench.api.answer()
    assert bench.intake.take(event(), NOW) is Refusal.DONE


def test_two_communities_may_have_an_event_of_the_same_name():
    bench = Bench()
    bench.take(event())
    bench.take(event(group_id=OTHER))
    assert bench.intake.taken == 2


def test_the_same_event_by_callback_and_by_long_poll_is_one():
    bench = Bench()
    bench.take(event())
    again = decode_update(update(value=new_message(cmid=1), event_id=f"{1:040x}"), GROUP)
    assert bench.intake.take(again, NOW) is Refusal.RUNNING


def test_joining_leaving_and_joining_again_are_three_events():
    bench = Bench()
    for number, event_type in enumerate(("group_join", "group_leave", "group_join")):
        bench.take(envelope(event_type, event_id=f"{number:040x}")).reply.finish()
    assert bench.intake.taken == 3


def test_events_that_nothing_names_are_all_taken_on():
    bench = Bench()
    for _ in range(2):
        bench.take(envelope("group_join", event_id=None)).reply.finish()


def test_a_message_without_an_event_id_is_known_by_its_place_in_the_dialog():
    bench = Bench()
    taken = bench.take(envelope(event_id=None))
    assert bench.intake.take(envelope(event_id=None), NOW) is Refusal.RUNNING
    taken.reply.write("a")
    taken.reply.finish()
    assert bench.api.texts() == ["a"]


def test_what_the_community_has_said_itself_is_no_input():
    bench = Bench()
    assert bench.intake.take(envelope("message_reply"), NOW) is Refusal.ECHO
    assert Bench(echoes=True).take(envelope("message_reply")).kind == "message_reply"


def test_an_object_that_is_not_what_its_type_says_is_refused_and_leaves_nothing():
    bench = Bench(MemoryJournal())
    with pytest.raises(ProtocolError):
        bench.intake.take(envelope("message_event", {"user_id": USER}), NOW)
    assert (len(bench.intake), bench.journal.rows) == (0, {})


@pytest.mark.parametrize("quoted", [{"text": 5}, [], 7, {"attachments": {}}])
def test_a_quoted_message_that_cannot_be_read_keeps_nobody_from_answering(quoted: object):
    bench = Bench()
    bench.take(envelope(value=new_message(reply_message=quoted))).reply.finish()
    assert len(bench.intake) == 0


# Room


def test_when_so_many_run_another_is_put_off():
    bench = Bench(max_running=2)
    first = bench.take(event(1, peer_id=1))
    bench.take(event(2, peer_id=2))
    assert bench.intake.take(event(3, peer_id=3), NOW) is Refusal.FULL
    assert bench.intake.take(pressed(), NOW) is Refusal.FULL
    assert bench.intake.take(event(1, peer_id=1), NOW) is Refusal.RUNNING
    first.reply.finish()
    bench.take(event(3, peer_id=3))


def test_so_many_messages_of_one_dialog_are_handled_and_no_more():
    bench = Bench(max_per_peer=2)
    first, second = bench.take(event(1)), bench.take(event(2))
    assert (first.in_flight, second.in_flight) == (1, 2)
    assert bench.intake.take(event(3), NOW) is Refusal.FULL
    bench.take(event(4, peer_id=CHAT))
    bench.take(event(5, group_id=OTHER))
    first.reply.finish()
    assert bench.take(event(3)).in_flight == 2


def test_what_is_no_message_does_not_wait_in_its_dialog_and_takes_no_room_there():
    bench = Bench(max_per_peer=1)
    bench.take(event(1))
    bench.take(pressed())
    bench.take(envelope("message_edit", event_id="b" * 40))
    assert bench.intake.take(event(2), NOW) is Refusal.FULL


def test_large_events_take_the_room_of_many():
    bench = Bench(max_bytes=1800)
    first = bench.take(event(1), size=900)
    bench.take(event(2), size=900)
    assert bench.intake.take(event(3), NOW, size=1) is Refusal.FULL
    first.reply.finish()
    bench.take(event(3), size=1)


@pytest.mark.parametrize("limit", ["max_running", "max_per_peer", "max_bytes"])
def test_room_for_nothing_is_refused_when_it_is_made(limit: str):
    with pytest.raises(ConfigError, match=limit):
        Bench(**{limit: 0})


def test_a_dialog_that_is_at_rest_holds_nothing():
    bench = Bench()
    for number in range(1, 100):
        bench.take(event(number, peer_id=number)).reply.finish()
    assert (bench.intake._messages, bench.intake._bytes, len(bench.intake._lines)) == ({}, 0, 0)


# Buttons


def test_the_minute_of_a_button_begins_when_it_first_comes():
    bench = Bench()
    reply = bench.take(pressed()).reply
    assert isinstance(reply, ButtonReply)
    assert reply.deadline == NOW + DEADLINE
    bench.intake.tick(NOW + 59)
    assert not reply.stale
    bench.intake.tick(NOW + 60)
    assert reply.stale


def test_a_button_that_is_known_to_be_old_is_stale_from_the_start():
    bench = Bench()
    reply = bench.take(pressed(), began_at=NOW - 65).reply
    assert reply.stale
    reply.finish()
    assert bench.api.calls == []


def test_the_minute_goes_on_over_a_failure_and_over_being_put_off():
    bench = Bench(max_running=1)
    first = bench.take(event())
    assert bench.intake.take(pressed("b" * 40), NOW) is Refusal.FULL
    first.reply.finish()
    assert bench.take(pressed("b" * 40), NOW + 5).reply.deadline == NOW + DEADLINE


def test_a_message_that_was_put_off_is_not_remembered():
    register = Register()
    bench = Bench(register=register, max_running=1)
    bench.take(event())
    bench.intake.take(event(2), NOW)
    assert len(register._ended) == 0


# Answers


def test_an_answer_goes_to_the_dialog_with_a_number_of_the_events():
    bench = Bench()
    taken = bench.take(event(peer_id=CHAT))
    taken.reply.write("ответ")
    taken.reply.finish()
    (call,) = bench.api.calls
    assert call.params["peer_ids"] == CHAT
    assert bench.api.texts(CHAT) == ["ответ"]


@pytest.mark.parametrize("options", [{"mute": True}, {}])
def test_where_nobody_can_be_answered_writing_fails_and_the_event_is_handled(options: dict[str, bool]):
    bench = Bench(**options)
    taken = bench.take(envelope("photo_new") if not options else event())
    with pytest.raises(StateError, match="no token"):
        taken.reply.write("ответ")
    taken.reply.finish()
    assert bench.intake.ended == {Ending.WELL: 1}


def test_messages_grow_as_time_passes():
    bench = Bench(stream="edit")
    taken = bench.take(event())
    bench.intake.tick(NOW)
    assert bench.intake.deadline == float("inf")
    taken.reply.write("a")
    bench.intake.tick(NOW + 0.5)
    assert bench.api.texts() == ["a"]
    taken.reply.write("b")
    bench.intake.tick(NOW + 1)
    assert bench.api.texts() == ["a"]
    assert bench.intake.deadline == NOW + 1.5
    bench.intake.tick(NOW + 2.5)
    assert bench.api.texts() == ["ab"]


def test_buttons_and_final_answers_do_not_grow():
    for bench, happened in ((Bench(stream="edit"), pressed()), (Bench(), event())):
        bench.take(happened).reply.write("a")
        bench.intake.tick(NOW)
        assert bench.api.calls == []


# The journal


def test_an_event_is_kept_without_its_secret_till_it_is_done():
    journal: Journal = MemoryJournal()
    bench = Bench(journal)
    taken = bench.take(event(7))
    (entry,) = bench.journal.open
    kept = orjson.loads(entry.body)
    assert kept["object"] == new_message(cmid=7)
    assert "secret" not in kept
    assert entry.began_at == NOW
    taken.reply.finish()
    assert bench.journal.rows[entry.key].ended is True


def test_how_a_failed_one_ended_is_noted_too():
    bench = Bench(MemoryJournal())
    bench.take(event()).reply.fail()
    assert [entry.ended for entry in bench.journal.rows.values()] == [False]


def test_what_the_end_of_the_app_cuts_off_stays_open():
    bench = Bench(MemoryJournal())
    bench.api.held = True
    waiting, answering = bench.take(event(1)), bench.take(event(2))
    answering.reply.write("a")
    answering.reply.finish()
    waiting.reply.cancel("shutdown")
    bench.api.close()
    assert len(bench.journal.open) == 2
    assert bench.intake.ended == {Ending.CUT_OFF: 2}


def test_an_event_that_cannot_be_kept_is_not_taken_on():
    bench = Bench(MemoryJournal())
    bench.journal.broken = True
    with pytest.raises(OSError, match="full"):
        bench.intake.take(event(), NOW)
    assert (len(bench.intake), bench.intake.taken, bench.intake.lost) == (0, 0, {"append": 1})
    bench.journal.broken = False
    bench.take(event())


def test_an_end_that_cannot_be_noted_ends_the_event_all_the_same():
    bench = Bench(MemoryJournal())
    taken = bench.take(event())
    bench.journal.broken = True
    taken.reply.finish()
    bench.intake.tick(NOW)
    assert (len(bench.intake), bench.intake.lost) == (0, {"finish": 1, "forget": 1})
    assert bench.intake.take(event(), NOW) is Refusal.DONE


def test_what_nests_too_deeply_to_be_kept_is_refused():
    deep: Json = {}
    for _ in range(300):
        deep = {"a": deep}
    bench = Bench(MemoryJournal())
    with pytest.raises(ProtocolError, match="deep"):
        bench.intake.take(envelope("brand_new", deep), NOW)
    assert len(bench.intake) == 0
    Bench().take(envelope("brand_new", deep))


def test_the_next_process_takes_on_what_is_left_in_its_order_and_knows_the_rest():
    journal = MemoryJournal()
    before = Bench(journal)
    done, left, also_left, broken = (before.take(event(number)) for number in range(1, 5))
    done.reply.finish()
    broken.reply.fail()
    after = Bench(journal)
    recalled = after.intake.recall(NOW + 30)
    assert [again.message_id for again in recalled] == [left.message_id, also_left.message_id]
    assert (recalled[0].text, recalled[0].chat, len(after.intake)) == (left.text, left.chat, 2)
    assert after.intake.take(event(1), NOW + 30) is Refusal.DONE
    assert after.intake.take(event(2), NOW + 30) is Refusal.RUNNING
    after.take(event(4), NOW + 30)
    for again in recalled:
        again.reply.finish()
    assert len(journal.open) == 1
    assert after.intake.recalled == 2


def test_what_is_recalled_says_nothing_twice():
    journal = MemoryJournal()
    before = Bench(journal)
    taken = before.take(event())
    before.api.held = True
    taken.reply.write("ответ")
    taken.reply.finish()  # VK has it, and nobody hears of that
    sent = before.api.calls[0].params
    after = Bench(journal)
    (again,) = after.intake.recall(NOW)
    again.reply.write("ответ")
    again.reply.finish()
    assert after.api.calls[0].params == sent


def test_the_bounds_do_not_keep_from_recalling_what_was_acknowledged():
    journal = MemoryJournal()
    before = Bench(journal)
    for number in range(5):
        before.take(event(number + 1))
    after = Bench(journal, max_running=1, max_per_peer=1)
    assert len(after.intake.recall(NOW)) == 5


def test_an_event_that_nothing_names_is_recalled_once_and_done():
    journal = MemoryJournal()
    Bench(journal).take(envelope("group_join", event_id=None))
    (again,) = Bench(journal).intake.recall(NOW)
    again.reply.finish()
    assert Bench(journal).intake.recall(NOW) == []


def test_a_button_that_is_recalled_has_what_is_left_of_its_minute():
    journal = MemoryJournal()
    Bench(journal).take(pressed(), now=NOW)
    (again,) = Bench(journal).intake.recall(NOW + 50)
    assert again.reply.deadline == NOW + DEADLINE


def test_what_runs_in_this_process_is_not_recalled_beside_itself():
    bench = Bench(MemoryJournal())
    bench.take(event())
    assert bench.intake.recall(NOW) == []
    assert bench.intake.recalled == 0


def test_an_end_that_could_not_be_noted_is_noted_at_the_next_start():
    bench = Bench(MemoryJournal())
    taken = bench.take(event())
    bench.journal.broken = True
    taken.reply.finish()
    bench.journal.broken = False
    assert bench.intake.recall(NOW) == []
    assert [entry.ended for entry in bench.journal.rows.values()] == [True]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"group_id":1}', b'{"group_id":"x","type":5,"object":{}}', b"\xff"]
)
def test_what_this_version_cannot_read_is_let_go(body: bytes):
    journal = MemoryJournal()
    key = orjson.dumps([GROUP, "a" * 40]).decode()
    journal.append(key, body, NOW)
    bench = Bench(journal)
    assert bench.intake.recall(NOW) == []
    assert journal.rows[key].ended is False


def test_what_this_version_cannot_understand_is_let_go():
    journal = MemoryJournal()
    key = orjson.dumps([GROUP, "a" * 40]).decode()
    journal.append(key, orjson.dumps(update("message_event", {})), NOW)
    assert Bench(journal).intake.recall(NOW) == []
    assert journal.rows[key].ended is False


@pytest.mark.parametrize("key", ["", "[]", "5", "{}", '["user","one",5]', '[999,"a"]', "[[1],2]", "[{},2]"])
def test_what_is_not_ours_is_left_to_whoever_shares_the_journal(key: str):
    journal = MemoryJournal()
    journal.append(key, orjson.dumps(update()), NOW)
    assert Bench(journal).intake.recall(NOW) == []
    assert len(journal.open) == 1


def test_the_journal_forgets_as_the_register_does():
    bench = Bench(MemoryJournal(), register=Register(window=2 * WINDOW))
    bench.take(event(1)).reply.finish()
    bench.take(event(2))
    bench.intake.tick(NOW + 2 * WINDOW)
    assert len(bench.journal.rows) == 2
    bench.intake.tick(NOW + 2 * WINDOW + 1)
    assert len(bench.journal.rows) == 1


def test_a_journal_that_cannot_be_read_keeps_the_bot_from_starting():
    journal = MemoryJournal()
    journal.broken = True
    with pytest.raises(OSError, match="full"):
        Bench(journal).intake.recall(NOW)


def test_without_a_journal_nothing_is_recalled():
    assert Bench().intake.recall(NOW) == []


# Figures


def test_the_figures_tell_what_happened():
    bench = Bench(MemoryJournal(), max_running=3)
    bench.take(event(1)).reply.finish()
    bench.take(event(2)).reply.fail()
    bench.take(event(3))
    bench.intake.take(event(1), NOW)
    bench.intake.take(envelope("message_reply"), NOW)
    bench.journal.broken = True
    bench.intake.tick(NOW + 5)
    figures = bench.figures()
    assert figures["vk_events"] == 3
    assert figures["vk_events_recalled"] == 0
    assert (figures["vk_events_refuseddone"], figures["vk_events_refusedecho"]) == (1, 1)
    assert (figures["vk_events_endedwell"], figures["vk_events_endedbadly"]) == (1, 1)
    assert (figures["vk_events_running"], figures["vk_events_age"]) == (1, 5)
    assert figures["vk_journal_failuresforget"] == 1


def test_the_entries_of_the_test_are_the_journals():
    assert Entry("k", b"", NOW) == Entry("k", b"", NOW, None)
    assert message()["peer_id"] == USER
