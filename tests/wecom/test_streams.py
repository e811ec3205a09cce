"""rawbot/wecom/streams.py: the snapshot and its end, who waits for it, pictures and cards."""

import base64
import hashlib
import json

import pytest
from open_streams import TEXTS, WAITING, late, look, make_table, open_stream, opened, overdue_stream, pass_time, sent
from wecom_callbacks import CARD, JPG, PNG, T0

from rawbot.errors import StateError
from rawbot.event import FollowUp, Illustrated, Reply
from rawbot.exchange import Pending, Response
from rawbot.wecom.cards import CardError
from rawbot.wecom.deliveries import LIFETIME
from rawbot.wecom.enclosures import MAX_IMAGE_BYTES, MAX_IMAGES
from rawbot.wecom.markdown import TEXT_LIMIT, is_visible
from rawbot.wecom.phases import Phase
from rawbot.wecom.streams import Stream


def waiting_request(stream: Stream, *, until_closed: bool = False) -> list[str]:
    """Let a request wait; return a list to which what it is answered with is added, in the call that wakes it."""
    answers: list[str] = []
    pending = Pending(None, T0 + 1, lambda _: Response(200, stream.frame("r9")))
    pending.attach(lambda: answers.append(json.loads(pending.answer(T0).body)["stream"]["content"]))
    stream.wait(pending, until_closed=until_closed)
    return answers


def test_a_stream_is_a_reply():
    stream: Reply = open_stream()
    assert (stream.text, stream.finished) == ("", False)


def test_each_look_shows_the_whole_text_so_far():
    stream = open_stream()
    assert look(stream) == (WAITING, False)
    stream.write("1")
    assert look(stream) == ("1", False)
    stream.write("2")
    stream.write("3")
    assert (look(stream), stream.text) == (("123", False), "123")
    stream.replace("new")
    assert look(stream) == ("new", False)
    stream.replace("")
    assert look(stream) == (WAITING, False)
    stream.write("end")
    stream.finish()
    assert (look(stream), look(stream)) == (("end", True), ("end", True))


def test_nothing_new_is_the_last_snapshot_again():
    stream = open_stream()
    assert stream.has_news("r2")
    assert look(stream) == look(stream)
    assert not stream.has_news("r2")
    stream.write("")
    assert not stream.has_news("r2")
    stream.write("x")
    assert stream.has_news("r2")
    assert look(stream) == look(stream) == ("x", False)
    assert not stream.has_news("r2")
    assert stream.has_news("r1")  # a repetition: the answer was lost
    stream.finish()
    look(stream)
    assert stream.has_news("r2")  # an end is told as often as it is asked for


@pytest.mark.parametrize("blank", [" ", "\u200b", "<think>", "<think>\n</think>\n"])
def test_what_cannot_be_seen_is_not_sent_in_place_of_the_waiting_text(blank: str):
    stream = open_stream()
    stream.write(blank)
    assert look(stream) == (WAITING, False)


def test_thoughts_are_shown_while_they_grow():
    stream = open_stream()
    stream.write("<think>Let me see")
    assert look(stream) == ("<think>Let me see", False)
    stream.finish()
    assert look(stream) == (f"<think>Let me see</think>\n\n{TEXTS.silent}", True)


def test_surrogates_are_mended():
    stream = open_stream()
    stream.write("a\ud83d\ude00")
    stream.write("\ud83d")
    assert look(stream)[0] == "a😀\ufffd"


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        (lambda stream: stream.finish(), ""),
        (lambda stream: stream.fail(), TEXTS.failed),
        (lambda stream: stream.cancel("superseded"), TEXTS.superseded),
        (lambda stream: stream.cancel("busy"), TEXTS.busy),
        (lambda stream: stream.cancel("shutdown"), TEXTS.shutdown),
    ],
)
def test_every_end_is_visible_and_final(end, sentence: str):  # noqa: ANN001 - a lambda
    silent, spoken = open_stream(), open_stream()
    spoken.write("```py\nx = 1")
    for stream in (silent, spoken):
        end(stream)
        seen = look(stream)
        stream.finish()
        stream.fail()
        stream.cancel("superseded")
        stream.expire()
        assert look(stream) == seen
        assert (stream.finished, stream.ended, stream.overdue) == (True, True, False)
    assert look(silent) == (sentence or TEXTS.silent, True)
    assert look(spoken) == (f"```py\nx = 1\n```\n\n{sentence}" if sentence else "```py\nx = 1", True)


@pytest.mark.parametrize(
    "write",
    [
        lambda stream: stream.write("x"),
        lambda stream: stream.replace("x"),
        lambda stream: stream.attach_image(PNG),
        lambda stream: stream.card(CARD),
    ],
)
def test_a_finished_reply_cannot_be_written_to(write):  # noqa: ANN001 - a lambda
    for stream in (open_stream(), overdue_stream()):
        stream.finish()
        with pytest.raises(StateError, match="finished"):
            write(stream)


@pytest.mark.parametrize("method", ["write", "replace"])
def test_bytes_are_refused_in_the_call_that_brings_them_and_the_stream_goes_on(method: str):
    stream = open_stream()
    stream.write("so far")
    with pytest.raises((AttributeError, TypeError)):
        getattr(stream, method)(b"x")
    shown = "so far" if method == "write" else WAITING
    assert look(stream) == look(stream) == (shown, False)
    stream.replace("and")
    stream.write(" on")
    stream.finish()
    assert look(stream) == ("and on", True)


def test_there_is_no_way_back_from_a_phase():
    stream = overdue_stream()
    with pytest.raises(StateError, match="OVERDUE to OPEN"):
        stream._move(Phase.OPEN)
    assert "OVERDUE" in repr(stream)


def test_a_waiting_request_is_answered_by_the_next_write_in_the_same_call():
    for write in ("write", "replace"):
        stream = open_stream()
        look(stream)
        answers = waiting_request(stream)
        getattr(stream, write)("news")
        assert answers == ["news"]
        getattr(stream, write)(" and more")
        assert answers == ["news"]


def test_a_replacement_by_nothing_is_news_too():
    stream = open_stream()
    stream.write("x")
    answers = waiting_request(stream)
    stream.replace("")
    assert answers == [WAITING]


@pytest.mark.parametrize("end", [("finish",), ("fail",), ("cancel", "superseded"), ("expire",)])
def test_every_end_answers_who_waits(end: tuple[str, ...]):
    stream = open_stream()
    answers, first = waiting_request(stream), waiting_request(stream, until_closed=True)
    getattr(stream, end[0])(*end[1:])
    assert answers == first
    assert is_visible(answers[0])


def test_the_held_first_answer_waits_for_the_end():
    stream = open_stream()
    first, poll = waiting_request(stream, until_closed=True), waiting_request(stream)
    stream.write("a")
    assert (first, poll) == ([], ["a"])
    stream.write("b")
    stream.finish()
    assert (first, poll) == (["ab"], ["a"])


def test_requests_that_are_over_are_let_go():
    stream = open_stream()
    for _ in range(100):
        pending = Pending(None, T0, lambda _: Response(200))
        stream.wait(pending)
        pending.abandon()
    assert len(stream._waiters) == 1


# Pictures


def test_pictures_come_with_the_last_frame_only():
    stream = open_stream()
    stream.attach_image(PNG)
    stream.attach_image(JPG)
    assert stream._owner.bytes_held == len(base64.b64encode(PNG) + base64.b64encode(JPG))
    assert "msg_item" not in json.loads(stream.frame("r1"))["stream"]
    stream.finish()
    last = json.loads(stream.frame("r2"))["stream"]
    assert last == json.loads(stream.frame("r2"))["stream"]
    images = [
        {"base64": base64.b64encode(data).decode(), "md5": hashlib.md5(data, usedforsecurity=False).hexdigest()}
        for data in (PNG, JPG)
    ]
    assert last["msg_item"] == [{"msgtype": "image", "image": image} for image in images]
    assert last["content"] == TEXTS.attached


def test_pictures_attached_before_the_watchdog_are_shown_by_it():
    table = make_table()
    stream = opened(table)
    stream.attach_image(PNG)
    table.tick(T0 + 330)
    assert len(json.loads(stream.frame("r1"))["stream"]["msg_item"]) == 1


@pytest.mark.parametrize("data", [b"", b"GIF89a" + bytes(20), b"%PDF-1.7", b"RIFF....WEBP", PNG[:7]])
def test_neither_png_nor_jpg_is_refused(data: bytes):
    with pytest.raises(StateError, match="neither JPG nor PNG"):
        open_stream().attach_image(data)


def test_pictures_have_their_limits():
    stream = open_stream()
    with pytest.raises(StateError, match="10485761 bytes"):
        stream.attach_image(PNG + bytes(MAX_IMAGE_BYTES + 1 - len(PNG)))
    stream.attach_image(PNG + bytes(MAX_IMAGE_BYTES - len(PNG)))
    for _ in range(MAX_IMAGES - 1):
        stream.attach_image(PNG)
    with pytest.raises(StateError, match="at most 10"):
        stream.attach_image(PNG)


def test_of_several_pictures_all_are_shown_or_none():
    stream = open_stream()
    assert not stream.illustrated
    for images in ([PNG, b"GIF89a"], [PNG] * (MAX_IMAGES + 1)):
        with pytest.raises(StateError, match="msg_item"):
            stream.attach_images(images)
    assert (stream.illustrated, stream._owner.bytes_held) == (False, 0)
    stream.attach_images([])
    assert not stream.illustrated
    stream.attach_images([PNG, JPG])
    with pytest.raises(StateError, match="at most 10"):
        stream.attach_images([PNG] * (MAX_IMAGES - 1))
    stream.finish()
    assert len(json.loads(stream.frame("r1"))["stream"]["msg_item"]) == 2


def test_a_picture_or_a_card_is_something_beside_words():
    with_card, with_picture = open_stream(), open_stream()
    with_card.card(CARD)
    with_picture.attach_image(PNG)
    assert with_card.illustrated
    assert with_picture.illustrated
    assert isinstance(with_card, Illustrated)


def test_a_picture_that_comes_too_late_is_told():
    stream = overdue_stream("so far")
    stream.attach_image(PNG)
    stream.finish()
    assert late(stream) == [TEXTS.pictures_lost]


def test_a_picture_without_room_in_the_table_is_told():
    table = make_table(max_bytes=50_000, max_text_bytes=50_000)
    stream = opened(table)
    stream.attach_image(PNG + bytes(30_000))
    stream.attach_image(PNG + bytes(30_000))
    stream.card(CARD)
    assert table.bytes_held <= 50_000
    stream.finish()
    last = json.loads(stream.frame("m1", first=True))["stream"]
    assert (last["content"], len(last["msg_item"])) == (f"{TEXTS.attached}\n\n{TEXTS.pictures_lost}", 1)


# Cards and feedback


def test_a_card_goes_with_one_callback_and_with_its_repetition():
    stream = open_stream()
    assert "template_card" not in json.loads(stream.frame("m1", first=True))
    stream.write("look")
    stream.card(CARD)
    frames = [json.loads(stream.frame(msgid)) for msgid in ("r1", "r2", "r1")]
    assert [frame["msgtype"] for frame in frames] == [
        "stream_with_template_card",
        "stream",
        "stream_with_template_card",
    ]
    assert frames[0]["template_card"] == CARD
    stream.finish()
    assert json.loads(stream.frame("r3"))["msgtype"] == "stream"


def test_a_card_is_news():
    stream = open_stream()
    look(stream)
    answers = waiting_request(stream)
    stream.card(CARD)
    assert answers == [WAITING]


def test_a_card_is_checked_and_stays_as_it_was_given():
    stream = open_stream()
    with pytest.raises(CardError, match="card_type"):
        stream.card({})
    card = {**CARD, "main_title": {"title": "before"}}
    stream.card(card)
    card["main_title"]["title"] = object()
    assert json.loads(stream.frame("r1"))["template_card"]["main_title"] == {"title": "before"}
    with pytest.raises(StateError, match="one card"):
        stream.card(CARD)


def test_a_wordless_card_is_the_whole_first_answer():
    stream = open_stream()
    stream.card(CARD)
    stream.finish()
    pure = {"msgtype": "template_card", "template_card": CARD}
    assert json.loads(stream.frame("m1", first=True)) == json.loads(stream.frame("m1", first=True)) == pure
    later = open_stream()
    later.card(CARD)
    later.finish()
    assert json.loads(later.frame("r1"))["stream"]["content"] == TEXTS.attached


@pytest.mark.parametrize("add", [lambda s: s.write("x"), lambda s: s.attach_image(PNG), lambda s: s.write("<think>x")])
def test_a_card_beside_something_else_goes_with_the_stream(add):  # noqa: ANN001 - a lambda
    stream = open_stream()
    add(stream)
    stream.card(CARD)
    stream.finish()
    assert json.loads(stream.frame("m1", first=True))["msgtype"] == "stream_with_template_card"


@pytest.mark.parametrize(
    ("chattype", "written", "body"),
    [
        ("single", "", {"msgtype": "template_card", "template_card": CARD}),
        ("single", "x", {"msgtype": "markdown", "markdown": {"content": f"x\n\n{TEXTS.card_lost}"}}),
        ("group", "", {"msgtype": "markdown", "markdown": {"content": TEXTS.card_lost}}),
    ],
)
def test_a_late_card_goes_out_alone_in_a_single_chat_and_else_is_told(chattype: str, written: str, body: dict):
    stream = overdue_stream("so far", chattype=chattype)
    stream.card(CARD)
    stream.write(written)
    assert json.loads(stream.frame("r1"))["msgtype"] == "stream"
    stream.finish()
    assert sent(stream._owner.deliveries) == [body]


def test_a_card_shown_by_the_watchdog_s_frame_is_not_sent_again():
    table = make_table()
    stream = opened(table)
    stream.card(CARD)
    table.tick(T0 + 330)
    stream.finish()
    assert json.loads(stream.frame("r1"))["template_card"] == CARD
    assert late(stream) == [TEXTS.concluded]


def test_the_feedback_id_stands_in_the_first_reply_and_its_repetition():
    stream = open_stream(feedback=True)
    for _ in range(2):
        assert json.loads(stream.frame("m1", first=True))["stream"]["feedback"] == {"id": stream.id}
    assert "feedback" not in json.loads(stream.frame("r1"))["stream"]
    stream.finish()
    assert "feedback" in json.loads(stream.frame("m1"))["stream"]
    assert len(stream.id.encode()) <= 256
    assert "feedback" not in json.loads(open_stream().frame("m1"))["stream"]


def test_a_stream_s_repr_tells_none_of_its_words():
    stream = open_stream()
    stream.write("a private word")
    assert repr(stream) == str(stream) == f"<Stream {stream.id} OPEN>"


# What follows a finished reply


def test_one_message_may_follow_a_finished_reply_and_waits_till_its_end_was_fetched():
    stream = open_stream()
    assert isinstance(stream, FollowUp)
    stream.write("the answer")
    stream.finish()
    stream.follow_up("and one thing\ud83d\ude00")
    assert sent(stream._owner.deliveries) == []
    look(stream)
    assert late(stream) == ["and one thing😀"]
    with pytest.raises(StateError, match="no response_url"):
        stream.follow_up("and another")
    assert (stream._owner.deliveries.lost, stream.text) == (0, "the answer")


def test_after_a_bubble_whose_end_was_fetched_it_follows_at_once():
    stream = open_stream()
    stream.fail()
    look(stream)
    stream.follow_up("I was wrong")
    assert late(stream) == ["I was wrong"]


@pytest.mark.parametrize("make", [open_stream, overdue_stream])
def test_nothing_follows_a_reply_that_is_not_finished(make):  # noqa: ANN001 - one of two functions
    stream = make()
    with pytest.raises(StateError, match="finished"):
        stream.follow_up("and one thing")
    assert late(stream) == []


@pytest.mark.parametrize("text", ["", " \n", "\u200b", "<think>hm</think>"])
def test_what_cannot_be_seen_does_not_waste_the_one_message(text: str):
    stream = open_stream()
    stream.finish()
    with pytest.raises(StateError, match="can be seen"):
        stream.follow_up(text)
    look(stream)
    stream.follow_up("seen")
    assert late(stream) == ["seen"]


def test_what_has_carried_the_rest_of_a_long_answer_carries_nothing_more():
    stream = open_stream()
    stream.write("x" * (TEXT_LIMIT + 1))
    stream.finish()
    with pytest.raises(StateError, match="no response_url"):
        stream.follow_up("more")
    late_one = overdue_stream("so far")
    late_one.finish()
    with pytest.raises(StateError, match="no response_url"):
        late_one.follow_up("more")


def test_what_follows_and_is_too_long_is_cut_and_says_so():
    stream = open_stream()
    stream.finish()
    look(stream)
    stream.follow_up("word " * 10_000)
    (text,) = late(stream)
    assert text.endswith(TEXTS.cut)
    assert len(text.encode()) <= TEXT_LIMIT


def test_what_follows_a_reply_that_was_cut_is_whole():
    table = make_table(max_text_bytes=50_000, enabled=False)
    stream = opened(table)
    stream.write("x" * 60_000)
    stream.finish()
    look(stream)
    table.deliveries.enabled = True
    stream.follow_up("more")
    assert late(stream) == ["more"]


@pytest.mark.parametrize("cause", ["no response_url", "rawbot[client]", "an hour", "too many"])
def test_where_nothing_can_follow_the_reason_is_told(cause: str):
    table = make_table(enabled=cause != "rawbot[client]")
    stream = opened(table, **{"response_url": ""} if cause == "no response_url" else {})
    stream.finish()
    if cause == "an hour":
        pass_time(table, T0 + LIFETIME)
    table.deliveries._max_waiting = 0 if cause == "too many" else 1
    with pytest.raises(StateError) as caught:
        stream.follow_up("more")
    assert cause in str(caught.value)
    assert (late(stream), table.deliveries.lost) == ([], 0)


def test_what_follows_is_sent_though_the_table_has_forgotten_the_stream():
    table = make_table()
    stream = opened(table)
    stream.finish()
    look(stream)
    pass_time(table, T0 + 1000)
    assert len(table) == 0
    stream.follow_up("late, but in time")
    assert late(stream) == ["late, but in time"]
