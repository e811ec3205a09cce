"""rawbot/vk/posting.py: messages in order, each sent once, and what came of them."""

import pytest
from vk_platform import JPG, NOW, PNG, FakeApi, failed, refused
from vk_samples import EVENT_ID, GROUP, USER

from rawbot.vk.errors import PeerError, ShutdownError, VKError
from rawbot.vk.lines import Lines
from rawbot.vk.posting import EDIT_EVERY, LEFT_OVER, Content, Posting, Target
from rawbot.vk.random_ids import random_id
from rawbot.vk.texts import MAX_TEXT

DIALOG = (GROUP, USER)


class Bench:
    """One posting, its API, and how often it has fallen silent."""

    def __init__(self, api: FakeApi | None = None, **target: object) -> None:
        self.api = api or FakeApi()
        self.lines = Lines()
        self.quiet = 0
        self.posting = self.another(**target)

    def another(self, event_id: str = EVENT_ID, **target: object) -> Posting:
        def on_quiet() -> None:
            self.quiet += 1

        return Posting(Target(self.api, self.lines, GROUP, USER, event_id, **target), on_quiet)

    def numbers(self) -> list[int]:
        return [shown.random_id for shown in self.api.dialogs.get(USER, [])]


def expected(*numbers: int) -> list[int]:
    return [random_id(GROUP, EVENT_ID, number) for number in numbers]


# One message, or several


def test_a_text_is_one_message_whose_number_is_made_from_the_event():
    bench = Bench()
    bench.posting.conclude(Content("привет"))
    assert bench.api.texts() == ["привет"]
    assert bench.numbers() == expected(1)
    assert (bench.quiet, bench.posting.quiet, bench.posting.error) == (1, True, None)
    assert bench.api.calls[0].params["peer_ids"] == USER


def test_an_account_names_the_dialog_otherwise_than_a_community():
    bench = Bench(whom="peer_id")
    bench.api.replies["messages.send"] = lambda _: 7
    bench.api.held = True
    bench.posting.conclude(Content("привет"))
    assert bench.api.calls[0].params["peer_id"] == USER
    assert "peer_ids" not in bench.api.calls[0].params
    bench.api.answer(outcome=7)
    assert bench.posting.quiet


def test_a_long_text_goes_out_as_several_the_next_when_the_one_before_is_answered():
    bench = Bench()
    bench.api.held = True
    bench.posting.conclude(Content("a" * MAX_TEXT + "b" * MAX_TEXT + "c"))
    for count in (1, 2, 3):
        assert len(bench.api.calls) == count
        bench.api.answer()
    assert bench.api.texts() == ["a" * MAX_TEXT, "b" * MAX_TEXT, "c"]
    assert bench.numbers() == expected(1, 2, 3)
    assert bench.quiet == 1


def test_attachments_and_buttons_go_with_the_last_message():
    bench = Bench()
    bench.posting.conclude(Content("a" * MAX_TEXT + "b", ["photo1_2", "doc3_4"], (), "{}"))
    first, last = bench.api.dialogs[USER]
    assert (first.attachment, first.keyboard) == (None, None)
    assert (last.text, last.attachment, last.keyboard) == ("b", "photo1_2,doc3_4", "{}")


def test_attachments_need_no_words_and_buttons_do():
    bench = Bench()
    bench.posting.conclude(Content("", ["photo1_2"]))
    bench.posting.conclude(Content(" ", (), (), "{}"))
    (shown,) = bench.api.dialogs[USER]
    assert (shown.text, shown.attachment) == ("", "photo1_2")


def test_what_shows_nothing_is_not_sent_and_is_over():
    bench = Bench()
    bench.posting.conclude(Content(" \n"))
    assert bench.api.calls == []
    assert bench.quiet == 1


def test_half_an_answer_is_not_followed_by_its_end():
    bench = Bench()
    bench.api.faults["messages.send"] = [refused()]
    bench.posting.conclude(Content("a" * MAX_TEXT + "b"))
    assert bench.api.texts() == []
    assert len(bench.api.calls) == 1
    assert isinstance(bench.posting.error, PeerError)
    assert bench.quiet == 1


def test_surrogates_do_not_keep_an_answer_from_being_sent():
    bench = Bench()
    bench.posting.conclude(Content("a\ud83d"))
    bench.posting.say("\ud83d\ude00")
    assert bench.api.texts() == ["a\ufffd", "\U0001f600"]


# Failures


@pytest.mark.parametrize("fault", [refused(), failed(9)])
def test_a_failure_is_told_whether_of_the_call_or_of_the_dialog(fault: object):
    bench = Bench()
    bench.api.faults["messages.send"] = [fault]
    bench.posting.conclude(Content("привет"))
    assert isinstance(bench.posting.error, VKError)
    assert not bench.posting.cut_off
    assert bench.quiet == 1


def test_the_end_of_the_app_is_told_from_a_failure():
    bench = Bench()
    bench.api.held = True
    bench.posting.conclude(Content("привет"))
    bench.api.close()
    assert isinstance(bench.posting.error, ShutdownError)
    assert bench.posting.cut_off


def test_a_call_beside_the_messages_counts_if_it_matters():
    bench = Bench()
    bench.api.faults["messages.sendMessageEventAnswer"] = [failed(), failed()]
    bench.posting.call("messages.sendMessageEventAnswer", {}, matters=False)
    assert bench.posting.error is None
    bench.posting.call("messages.sendMessageEventAnswer", {})
    assert bench.posting.error is not None
    assert bench.quiet == 2


# Pictures


def test_pictures_are_uploaded_at_once_and_stand_in_their_order():
    bench = Bench()
    bench.api.held = True
    bench.posting.conclude(Content("смотри", ["doc1_2"], [PNG, JPG]))
    first, second = bench.api.calls
    assert [call.params["peer_id"] for call in (first, second)] == [USER, USER]
    bench.api.answer(second)
    bench.api.answer(first)
    bench.api.answer()
    assert bench.api.files == [("photo.jpeg", JPG), ("photo.png", PNG)]
    (shown,) = bench.api.dialogs[USER]
    assert shown.attachment == f"doc1_2,photo-{GROUP}_2,photo-{GROUP}_1"
    assert bench.quiet == 1


def test_a_picture_that_fails_is_left_out_and_told():
    bench = Bench()
    bench.api.faults["upload photo"] = [failed()]
    bench.posting.conclude(Content("смотри", (), [PNG, JPG]))
    (shown,) = bench.api.dialogs[USER]
    assert shown.attachment == f"photo-{GROUP}_1"
    assert bench.posting.error is not None


def test_without_words_and_pictures_that_arrive_nothing_is_sent():
    bench = Bench()
    bench.api.faults["upload photo"] = [failed()]
    bench.posting.conclude(Content("", (), [PNG]))
    assert bench.api.methods == ["upload photo"]
    assert bench.quiet == 1


# Order within a dialog


def test_a_dialog_gets_its_messages_in_the_order_in_which_they_were_said():
    bench = Bench()
    bench.api.held = True
    second = bench.another("other")
    bench.posting.conclude(Content("первое", (), [PNG]))
    second.conclude(Content("второе"))
    assert bench.api.methods == ["upload photo"]
    bench.api.answer_all()
    assert bench.api.texts() == ["первое", "второе"]


def test_a_button_is_answered_without_waiting_for_messages():
    bench = Bench()
    bench.api.held = True
    bench.posting.conclude(Content("первое"))
    bench.another("other").call("messages.sendMessageEventAnswer", {})
    assert bench.api.methods == ["messages.send", "messages.sendMessageEventAnswer"]


# Repetition


def test_an_answer_that_is_given_again_sends_nothing_twice():
    bench = Bench()
    content = Content("a" * MAX_TEXT + "b")
    for _ in range(2):
        posting = bench.another()
        posting.say("минуту")
        posting.conclude(content)
    assert bench.api.texts() == ["минуту", "a" * MAX_TEXT, "b"]
    assert bench.numbers() == expected(1, 2, 3)


def test_what_a_failed_handler_leaves_does_not_keep_a_good_answer_from_being_sent():
    bench = Bench()
    bench.posting.conclude(Content("половина"), failed=True)
    bench.another().conclude(Content("половина"), failed=True)
    bench.another().conclude(Content("всё"))
    assert bench.api.texts() == ["половина", "всё"]
    assert bench.numbers() == expected(LEFT_OVER + 1, 1)


# A message that grows


def growing(**target: object) -> Bench:
    return Bench(edits=True, **target)


def test_a_message_that_grows_is_sent_once_and_edited_then():
    bench = growing()
    assert not bench.posting.grow("a", NOW)
    assert not bench.posting.grow("ab", NOW + EDIT_EVERY)
    bench.posting.conclude(Content("abc"))
    (shown,) = bench.api.dialogs[USER]
    assert (shown.text, shown.edits) == ("abc", 2)
    assert bench.api.methods == ["messages.send", "messages.edit", "messages.edit"]
    assert bench.posting.has_grown


def test_it_is_edited_no_more_often_than_the_interval_says():
    bench = growing()
    bench.posting.grow("a", NOW)
    assert bench.posting.grow("ab", NOW + EDIT_EVERY - 0.01)
    assert len(bench.api.calls) == 1
    assert not bench.posting.grow("ab", NOW - 100)  # the clock was set back


def test_nothing_new_and_nothing_to_be_seen_is_not_shown():
    bench = growing()
    assert not bench.posting.grow(" ", NOW)
    bench.posting.grow("a", NOW)
    assert not bench.posting.grow("a", NOW + 10)
    assert len(bench.api.calls) == 1


def test_edits_wait_while_anything_else_is_to_be_sent():
    bench = growing()
    bench.api.queued = 1
    assert bench.posting.grow("a", NOW)
    bench.api.queued = 0
    bench.api.held = True
    bench.another("other").conclude(Content("другое"))
    assert bench.posting.grow("a", NOW)
    bench.api.answer()
    assert not bench.posting.grow("a", NOW)
    assert bench.api.methods == ["messages.send", "messages.send"]


def test_the_end_waits_for_the_answer_to_what_is_being_shown():
    bench = growing()
    bench.api.held = True
    bench.posting.grow("a", NOW)
    bench.posting.conclude(Content("ab"))
    assert len(bench.api.calls) == 1
    bench.api.answer_all()
    assert bench.api.texts() == ["ab"]
    assert bench.quiet == 1


def test_an_end_that_is_shown_already_is_not_sent_again():
    bench = growing()
    bench.posting.grow("a", NOW)
    bench.posting.conclude(Content("a"))
    assert bench.api.methods == ["messages.send"]
    assert bench.quiet == 2


def test_a_text_that_grows_beyond_one_message_goes_on_in_others():
    bench = growing()
    bench.posting.grow("a" * (MAX_TEXT + 5), NOW)
    assert not bench.posting.grow("a" * (MAX_TEXT + 9), NOW + 10)
    bench.posting.conclude(Content("a" * MAX_TEXT + "b", ["photo1_2"]))
    assert bench.api.texts() == ["a" * MAX_TEXT, "b"]
    assert bench.api.dialogs[USER][1].attachment == "photo1_2"
    assert bench.api.methods == ["messages.send", "messages.send"]


def test_pictures_and_buttons_come_with_the_last_edit():
    bench = growing()
    bench.posting.grow("a", NOW)
    bench.posting.conclude(Content("a", ["photo1_2"], (), "{}"))
    (shown,) = bench.api.dialogs[USER]
    assert (shown.text, shown.attachment, shown.keyboard) == ("a", "photo1_2", "{}")


def test_another_text_in_its_place_is_edited_as_well():
    bench = growing()
    bench.posting.grow("a" * 5000, NOW)
    bench.posting.conclude(Content("b" * MAX_TEXT + "c"))
    assert bench.api.texts() == ["b" * MAX_TEXT, "c"]


def test_what_is_said_meanwhile_is_a_message_of_its_own():
    bench = growing()
    bench.posting.grow("a", NOW)
    bench.posting.say("между прочим")
    bench.posting.conclude(Content("ab"))
    assert bench.api.texts() == ["ab", "между прочим"]


def test_one_that_could_not_be_shown_is_sent_at_the_end_and_not_twice():
    bench = growing()
    bench.api.faults["messages.send"] = [failed()]
    bench.posting.grow("a", NOW)
    assert not bench.posting.grow("ab", NOW + 10)
    bench.posting.conclude(Content("abc"))
    assert bench.numbers() == expected(1)
    assert bench.api.texts() == ["abc"]
    assert bench.posting.error is None


def test_an_edit_that_fails_ends_the_growth_and_is_made_good_at_the_end():
    bench = growing()
    bench.api.faults["messages.edit"] = [failed(9)]
    bench.posting.grow("a", NOW)
    bench.posting.grow("ab", NOW + 10)
    assert not bench.posting.grow("abc", NOW + 20)
    assert bench.api.methods == ["messages.send", "messages.edit"]
    bench.posting.conclude(Content("abcd"))
    assert bench.api.texts() == ["abcd"]
    assert bench.posting.error is None


@pytest.mark.parametrize("answer", [[], [{}], [{"conversation_message_id": 0}], "?", [7], {"a": 1}])
def test_where_vk_does_not_name_the_message_the_end_is_one_of_its_own(answer: object):
    bench = growing()
    bench.api.faults["messages.send"] = [answer]
    bench.posting.grow("a", NOW)
    bench.posting.conclude(Content("ab"))
    assert bench.api.methods == ["messages.send", "messages.send"]
    assert bench.numbers() == expected(2)


@pytest.mark.parametrize("answer", [77, [{"message_id": 77}]])
def test_a_message_may_have_another_name(answer: object):
    bench = growing()
    bench.api.faults["messages.send"] = [answer]
    bench.api.faults["messages.edit"] = [1]
    bench.posting.grow("a", NOW)
    bench.posting.conclude(Content("ab"))
    assert bench.api.calls[1].params == {"peer_id": USER, "message_id": 77, "message": "ab"}


def test_one_that_was_answered_before_is_edited_to_what_is_said_now():
    bench = growing()
    bench.posting.grow("старое", NOW)  # then the process ends
    again = bench.another(edits=True, again=True)
    again.conclude(Content("новое"))
    assert bench.api.texts() == ["новое"]
    assert bench.numbers() == expected(1)


def test_one_that_was_answered_before_and_grows_again_ends_with_what_is_said_now():
    bench = growing()
    bench.posting.grow("старое", NOW)
    again = bench.another(edits=True, again=True)
    again.grow("новое", NOW)
    again.conclude(Content("новое"))
    assert bench.api.texts() == ["новое"]


@pytest.mark.parametrize("answer", [refused(), "?"])
def test_one_that_was_answered_before_may_fail_again(answer: object):
    bench = growing(again=True)
    bench.api.faults["messages.send"] = [answer]
    bench.posting.conclude(Content("новое"))
    assert bench.api.methods == ["messages.send"]
    assert (bench.posting.error is None) == (answer == "?")
    assert bench.quiet == 1


def test_a_failed_handler_leaves_the_message_that_has_grown_as_it_was_written():
    bench = growing()
    bench.posting.grow("a", NOW)
    bench.posting.conclude(Content("ab"), failed=True)
    assert bench.api.texts() == ["ab"]
    assert bench.numbers() == expected(1)
