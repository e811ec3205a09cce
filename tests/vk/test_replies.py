"""rawbot/vk/replies.py: what a handler writes, and what VK is told of it."""

import gc
import weakref

import pytest
from vk_platform import JPG, NOW, PNG, FakeApi, failed, refused
from vk_samples import EVENT_ID, GROUP, USER

from rawbot.errors import StateError
from rawbot.event import FollowUp, Illustrated, Reply
from rawbot.vk.growing import Growing
from rawbot.vk.lines import Lines
from rawbot.vk.posting import Target
from rawbot.vk.replies import MAX_ATTACHMENTS, Ending, VKReply


class Bench:
    """One reply, its API, and how it has ended."""

    def __init__(self, *, stream: str = "final", api: FakeApi | None = None, again: bool = False) -> None:
        self.api = api or FakeApi()
        self.endings: list[Ending] = []
        self.growing = Growing()
        edits = stream == "edit"
        target = Target(self.api, Lines(), GROUP, USER, EVENT_ID, edits, again)
        growing = self.growing if edits else None
        self.reply = VKReply(target, peer_id=USER, on_settled=self.endings.append, growing=growing)

    @property
    def shown(self) -> list[str]:
        return self.api.texts()


def mute() -> VKReply:
    return VKReply(None, peer_id=USER, on_settled=lambda _: None)


def test_it_is_what_every_channel_has():
    reply: Reply = Bench().reply
    assert isinstance(reply, FollowUp)
    assert isinstance(reply, Illustrated)
    assert repr(reply) == f"<VKReply to {USER}>"


# One message at the end


def test_what_was_written_is_one_message_when_the_handler_is_done():
    bench = Bench()
    bench.reply.write("при")
    bench.reply.write("вет")
    assert bench.reply.text == "привет"
    assert bench.shown == []
    bench.reply.finish()
    assert bench.shown == ["привет"]
    assert bench.endings == [Ending.WELL]
    assert bench.reply.finished


def test_replacing_takes_the_place_of_all_that_was_written():
    bench = Bench()
    bench.reply.write("черновик")
    bench.reply.replace("готово")
    bench.reply.finish()
    assert bench.shown == ["готово"]


def test_a_handler_that_says_nothing_sends_nothing():
    bench = Bench()
    bench.reply.finish()
    assert bench.api.calls == []
    assert bench.endings == [Ending.WELL]


def test_finishing_and_failing_twice_does_nothing():
    bench = Bench()
    bench.reply.write("a")
    for _ in range(2):
        bench.reply.finish()
        bench.reply.fail()
        bench.reply.cancel("shutdown")
    assert bench.shown == ["a"]
    assert bench.endings == [Ending.WELL]


def test_the_event_is_not_done_before_vk_has_answered():
    bench = Bench()
    bench.api.held = True
    bench.reply.write("a")
    bench.reply.finish()
    assert bench.endings == []
    bench.api.answer()
    assert bench.endings == [Ending.WELL]


def test_a_failed_handler_leaves_what_it_had_written():
    bench = Bench()
    bench.reply.write("половина")
    bench.reply.fail()
    assert bench.shown == ["половина"]
    assert bench.endings == [Ending.BADLY]


@pytest.mark.parametrize("fault", [failed(), refused()])
def test_an_answer_that_vk_does_not_take_makes_the_event_failed(fault: object):
    bench = Bench()
    bench.api.faults["messages.send"] = [fault]
    bench.reply.write("a")
    assert bench.reply.error is None
    bench.reply.finish()
    assert bench.endings == [Ending.BADLY]
    assert bench.reply.error is not None


def test_an_answer_that_the_end_of_the_app_cuts_off_is_no_failure():
    bench = Bench()
    bench.api.held = True
    bench.reply.write("a")
    bench.reply.finish()
    bench.api.close()
    assert bench.endings == [Ending.CUT_OFF]


def test_a_failed_handler_stays_failed_when_the_app_ends():
    bench = Bench()
    bench.api.closed = True
    bench.reply.write("a")
    bench.reply.fail()
    assert bench.endings == [Ending.BADLY]


@pytest.mark.parametrize(
    ("reason", "ending"), [("shutdown", Ending.CUT_OFF), ("busy", Ending.BADLY), ("superseded", Ending.WELL)]
)
def test_a_handler_that_was_stopped_says_nothing_more(reason: str, ending: Ending):
    bench = Bench()
    bench.reply.write("a")
    bench.reply.attach_image(PNG)
    bench.reply.cancel(reason)
    assert bench.api.calls == []
    assert bench.endings == [ending]


# What cannot be written


def test_writing_to_a_finished_reply_is_a_fault_of_ours():
    reply = Bench().reply
    reply.finish()
    for write in (reply.write, reply.replace, reply.attach):
        with pytest.raises(StateError, match="finished"):
            write("photo1_2")
    with pytest.raises(StateError, match="finished"):
        reply.keyboard({})
    with pytest.raises(StateError, match="finished"):
        reply.attach_image(PNG)


def test_without_a_token_nothing_can_be_written_and_the_event_can_be_handled():
    reply = mute()
    for write in (reply.write, reply.replace, reply.follow_up, reply.attach):
        with pytest.raises(StateError, match="no token"):
            write("photo1_2")
    reply.finish()
    assert reply.error is None


@pytest.mark.parametrize("text", [None, 5, b"bytes", ["a"]])
def test_what_is_no_text_is_refused_and_nothing_changes(text: object):
    bench = Bench()
    bench.reply.write("a")
    for write in (bench.reply.write, bench.reply.replace, bench.reply.follow_up):
        with pytest.raises(StateError):
            write(text)
    bench.reply.finish()
    assert bench.shown == ["a"]


# More than words


def test_pictures_attachments_and_buttons_go_with_the_message():
    bench = Bench()
    assert not bench.reply.illustrated
    bench.reply.write("смотри")
    bench.reply.attach("photo-1_2", "doc3_4_a1B2")
    bench.reply.attach_image(PNG)
    bench.reply.attach_images([JPG])
    bench.reply.keyboard({"inline": True, "buttons": []})
    assert bench.reply.illustrated
    bench.reply.finish()
    (shown,) = bench.api.dialogs[USER]
    assert shown.attachment == f"photo-1_2,doc3_4_a1B2,photo-{GROUP}_1,photo-{GROUP}_2"
    assert shown.keyboard == '{"inline":true,"buttons":[]}'


@pytest.mark.parametrize(
    "name", ["photo1", "photo1_2,doc3_4", "", "фото1_2", "photo1_2 ", "https://vk.com/photo1_2", 5]
)
def test_what_names_no_attachment_is_refused(name: object):
    bench = Bench()
    with pytest.raises(StateError, match="photo1_2"):
        bench.reply.attach("photo1_2", name)
    assert not bench.reply.illustrated


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7", "text", None, b"GIF"])
def test_what_is_no_picture_is_refused_together_with_those_beside_it(data: object):
    bench = Bench()
    with pytest.raises(StateError, match="picture"):
        bench.reply.attach_images([PNG, data])
    assert not bench.reply.illustrated


def test_a_message_has_ten_attachments_at_most():
    bench = Bench()
    bench.reply.attach_images([PNG] * 6)
    bench.reply.attach(*["photo1_2"] * (MAX_ATTACHMENTS - 6))
    with pytest.raises(StateError, match="10"):
        bench.reply.attach_images([PNG])
    with pytest.raises(StateError, match="10"):
        bench.reply.attach("photo1_2")


def test_a_keyboard_that_is_no_json_is_refused_at_once():
    with pytest.raises(StateError, match="JSON"):
        Bench().reply.keyboard({"buttons": object()})


# Follow-ups


def test_a_follow_up_is_a_message_of_its_own_at_any_time():
    bench = Bench()
    bench.reply.follow_up("до")
    bench.reply.write("ответ")
    bench.reply.finish()
    bench.reply.follow_up("после")
    assert bench.shown == ["до", "ответ", "после"]
    assert len({shown.random_id for shown in bench.api.dialogs[USER]}) == 3
    assert bench.endings == [Ending.WELL]


def test_a_follow_up_before_the_end_that_fails_makes_the_event_failed():
    bench = Bench()
    bench.api.faults["messages.send"] = [failed()]
    bench.reply.follow_up("до")
    bench.reply.finish()
    assert bench.endings == [Ending.BADLY]


def test_the_end_waits_for_a_follow_up_that_is_not_answered():
    bench = Bench()
    bench.api.held = True
    bench.reply.follow_up("до")
    bench.reply.finish()
    assert bench.endings == []
    bench.api.answer()
    assert bench.endings == [Ending.WELL]


def test_what_follows_a_settled_reply_settles_nothing_again():
    bench = Bench()
    bench.reply.finish()
    bench.api.faults["messages.send"] = [failed()]
    bench.reply.follow_up("после")
    assert bench.endings == [Ending.WELL]
    assert bench.reply.error is not None


@pytest.mark.parametrize("text", ["", " \n"])
def test_a_follow_up_that_cannot_be_seen_is_refused(text: str):
    with pytest.raises(StateError, match="seen"):
        Bench().reply.follow_up(text)


def test_a_finished_reply_holds_nothing_of_what_was_said():
    bench = Bench()
    bench.reply.write("секрет")
    bench.reply.attach_image(PNG)
    bench.reply.finish()
    assert bench.reply.text == ""
    assert not bench.reply.illustrated
    reachable = [value for value in gc.get_referents(bench.reply) if isinstance(value, str | bytes | list)]
    assert "секрет" not in reachable
    assert PNG not in reachable


@pytest.mark.parametrize("follow", [False, True])
def test_a_settled_reply_is_freed_without_the_collector(follow: bool):  # noqa: FBT001 - a parameter of the table
    class Watched(VKReply):  # has room for weak references
        pass

    target = Target(FakeApi(), Lines(), GROUP, USER, EVENT_ID)
    reply = Watched(target, peer_id=USER, on_settled=lambda _: None)
    seen = weakref.ref(reply)
    gc.disable()
    try:
        reply.write("a")
        reply.finish()
        if follow:
            reply.follow_up("b")
        target.api.calls.clear()
        del reply
        assert seen() is None
    finally:
        gc.enable()


# Repetition


def test_a_handler_that_runs_again_says_nothing_twice():
    api = FakeApi()
    for again in (False, True):
        bench = Bench(api=api, again=again)
        bench.reply.follow_up("минуту")
        bench.reply.write("x" * 9000 + "y")
        bench.reply.finish()
    assert api.texts() == ["минуту", "x" * 9000, "y"]


def test_a_handler_that_failed_at_first_says_all_when_it_runs_again():
    api = FakeApi()
    first = Bench(api=api)
    first.reply.write("поло")
    first.reply.fail()
    second = Bench(api=api, again=True)
    second.reply.write("половина и всё")
    second.reply.finish()
    assert api.texts() == ["поло", "половина и всё"]


# A message that grows


def test_a_growing_message_is_shown_and_edited_as_time_passes():
    bench = Bench(stream="edit")
    bench.reply.write("a")
    bench.growing.tick(NOW)
    for piece in "bcd":
        bench.reply.write(piece)
    bench.growing.tick(NOW + 1)
    assert bench.shown == ["a"]
    bench.growing.tick(NOW + 2)
    assert bench.shown == ["abcd"]
    assert len(bench.growing) == 0
    bench.reply.write("e")
    bench.reply.finish()
    assert bench.shown == ["abcde"]
    bench.growing.tick(NOW + 9)
    assert (bench.api.dialogs[USER][0].edits, len(bench.growing)) == (2, 0)


def test_a_quick_answer_is_not_edited():
    bench = Bench(stream="edit")
    bench.reply.write("готово")
    bench.reply.finish()
    bench.growing.tick(NOW)
    assert bench.api.methods == ["messages.send"]


def test_a_superseded_message_ends_with_what_was_written():
    bench = Bench(stream="edit")
    bench.reply.write("a")
    bench.growing.tick(NOW)
    bench.reply.write("b")
    bench.reply.cancel("superseded")
    assert bench.shown == ["ab"]
    assert bench.endings == [Ending.WELL]


def test_a_message_that_the_end_of_the_app_cuts_off_stays_as_it_is_till_it_is_answered_again():
    api = FakeApi()
    bench = Bench(stream="edit", api=api)
    bench.reply.write("a")
    bench.growing.tick(NOW)
    bench.reply.write("b")
    bench.reply.cancel("shutdown")
    assert api.texts() == ["a"]
    assert bench.endings == [Ending.CUT_OFF]
    again = Bench(stream="edit", api=api, again=True)
    again.reply.write("новое")
    again.reply.finish()
    assert api.texts() == ["новое"]
