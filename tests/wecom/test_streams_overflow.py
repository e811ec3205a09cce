"""rawbot/wecom/streams.py again: what no bubble holds, and what comes later than a bubble lasts."""

import json

import pytest
from open_streams import TEXTS, late, look, make_table, open_stream, opened, overdue_stream, pass_time, sent
from wecom_callbacks import T0, URL

from rawbot.exchange import Pending, Response
from rawbot.wecom.deliveries import FETCHED_WITHIN, LIFETIME
from rawbot.wecom.markdown import TEXT_LIMIT, is_visible
from rawbot.wecom.streams import Stream

LONG = "".join(f"{n}. paragraph\n\n" for n in range(2000))  # about 30,000 bytes


# More than a bubble holds


def test_a_growing_text_is_never_shown_shorter_at_the_limit():
    stream = open_stream()
    stream.write(LONG[: TEXT_LIMIT - 1])
    assert look(stream) == (LONG[: TEXT_LIMIT - 1], False)
    stream.write("你好\n\n你好")
    assert look(stream) == (LONG[: TEXT_LIMIT - 1], False)  # the next character does not fit whole
    stream.write(LONG)
    assert look(stream) == (LONG[: TEXT_LIMIT - 1], False)


def test_too_long_an_answer_ends_at_a_paragraph_and_goes_on_elsewhere():
    stream = open_stream()
    stream.write(LONG)
    stream.finish()
    content, finish = look(stream)
    assert finish
    assert content.endswith("paragraph\n\n")
    assert TEXT_LIMIT - 20 < len(content.encode()) <= TEXT_LIMIT
    assert content + "".join(late(stream)) == LONG


@pytest.mark.parametrize("count", [TEXT_LIMIT // 4, TEXT_LIMIT // 4 + 1, 6000])
def test_an_answer_of_few_characters_with_many_bytes_each_is_measured_in_bytes(count: int):
    stream = open_stream()
    stream.write("😀" * count)
    stream.finish()
    content, _ = look(stream)
    assert content == "😀" * min(count, TEXT_LIMIT // 4)
    assert len(content.encode()) <= TEXT_LIMIT
    assert content + "".join(late(stream)) == "😀" * count


def test_too_long_a_code_block_is_whole_in_both_parts():
    stream = open_stream()
    stream.write("```py\n" + "x = 1\n" * 5000 + "```")
    stream.finish()
    head, (tail,) = look(stream)[0], late(stream)
    assert head.endswith("x = 1\n```")
    assert tail.startswith("```py\nx = 1\n")
    assert head.count("x = 1") + tail.count("x = 1") == 5000


@pytest.mark.parametrize(("enabled", "url"), [(False, URL), (True, "")])
def test_too_long_an_answer_says_that_it_was_cut_when_the_rest_cannot_follow(enabled: bool, url: str):  # noqa: FBT001
    stream = opened(make_table(enabled=enabled), response_url=url)
    stream.write(LONG)
    stream.finish()
    content, _ = look(stream)
    assert content.endswith(f"paragraph\n\n{TEXTS.cut}")
    assert len(content.encode()) <= TEXT_LIMIT
    assert (late(stream), stream._owner.deliveries.lost) == ([], 0)


def test_what_is_too_long_for_both_says_so_at_the_end():
    stream = open_stream()
    stream.write(LONG + LONG)
    stream.finish()
    (tail,) = late(stream)
    assert tail.endswith(TEXTS.cut)
    assert len(tail.encode()) <= TEXT_LIMIT


@pytest.mark.parametrize("pieces", [["x" * 300_000], ["x" * 200_000, "y" * 100_000, "z"], ["x" * 2**18, "y"]])
def test_of_a_text_without_measure_its_front_is_kept(pieces: list[str]):
    stream = open_stream()
    for piece in pieces:
        stream.write(piece)
    assert stream.text == "".join(pieces)[: 2**18]
    stream.finish()
    assert look(stream) == ("x" * TEXT_LIMIT, True)
    assert [text[-len(TEXTS.cut) :] for text in late(stream)] == [TEXTS.cut]


def test_nothing_is_shown_behind_a_gap():
    stream = opened(make_table(max_text_bytes=2 * TEXT_LIMIT))
    stream.write("x" * (2 * TEXT_LIMIT - 2))
    stream.write("你")
    stream.write("z")
    assert stream.text == "x" * (2 * TEXT_LIMIT - 2)


def test_what_just_fits_is_not_cut():
    stream = opened(make_table(max_text_bytes=2 * TEXT_LIMIT))
    stream.write("x" * 2 * TEXT_LIMIT)
    stream.finish()
    assert (look(stream), late(stream)) == (("x" * TEXT_LIMIT, True), ["x" * TEXT_LIMIT])
    thoughtful = open_stream()
    text = "<think>hm</think>" + "x" * (TEXT_LIMIT - 17)
    thoughtful.write(text)
    assert look(thoughtful) == (text, False)
    thoughtful.finish()
    assert look(thoughtful) == (text, True)


def test_a_finished_reply_holds_what_is_shown_and_no_more():
    stream = open_stream()
    stream.write(LONG)
    assert stream._owner.bytes_held == len(LONG)
    stream.finish()
    assert stream._owner.bytes_held == len(stream.text) == len(look(stream)[0])


def test_a_replacement_makes_room_again():
    stream = open_stream()
    stream.replace("x" * 300_000)
    stream.replace("short")
    stream.write("!")
    stream.finish()
    assert (look(stream), late(stream)) == (("short!", True), [])


def test_long_thoughts_give_way_to_the_answer():
    stream = open_stream()
    stream.write("<think>" + "hm " * 10_000)
    assert look(stream)[0] == ("<think>" + "hm " * 10_000)[:TEXT_LIMIT]
    stream.write("</think>\n\nThe answer")
    assert look(stream) == ("The answer", False)
    stream.finish()
    assert (look(stream), late(stream)) == (("The answer", True), [])


@pytest.mark.parametrize("blank", ["\u200b" * TEXT_LIMIT, "\u200b<think>" + "hm " * TEXT_LIMIT + "</think>"])
def test_a_bubble_ends_visibly_even_when_its_front_is_blank(blank: str):
    stream = open_stream()
    stream.write(blank + "x")
    stream.finish()
    assert is_visible(look(stream)[0])


def test_blanks_alone_are_not_worth_a_second_message():
    stream = open_stream()
    stream.write("x" * TEXT_LIMIT + " \n\n ")
    stream.finish()
    assert (look(stream), late(stream)) == (("x" * TEXT_LIMIT, True), [])


def test_what_found_no_room_in_the_table_is_told():
    table = make_table(max_bytes=100_000, max_text_bytes=50_000)
    first, second, third = (opened(table) for _ in range(3))
    first.write("x" * 50_000)
    second.write("y" * 40_000)
    third.write("z" * 1000)
    third.write("z" * 20_000)
    look(third)
    third.write("z")  # nothing behind a gap
    third.write("z" * 20_000)
    assert not third.has_news("r2")
    assert table.bytes_held == 91_000
    third.finish()
    assert look(third) == ("z" * 1000 + f"\n\n{TEXTS.cut}", True)


# In which order


def followers(stream: Stream) -> list[str]:
    """Return what goes to the response_url, and fetch nothing for it."""
    return [body["markdown"]["content"] for body in sent(stream._owner.deliveries)]


def test_the_rest_waits_till_the_end_of_the_bubble_was_fetched():
    stream = open_stream()
    stream.write(LONG)
    look(stream)
    stream.finish()
    assert followers(stream) == []
    assert stream._owner.unsettled == 1
    content, _ = look(stream, "r2")
    assert followers(stream) == [LONG[len(content) :]]
    look(stream, "r2")
    assert followers(stream) == []


def test_the_rest_follows_the_poll_that_was_waiting_for_the_end():
    stream = open_stream()
    told: list[int] = []
    pending = Pending(None, T0 + 1, lambda _: Response(200, stream.frame("r1")))
    pending.attach(lambda: told.append(len(pending.answer(T0).body)))
    stream._owner.deliveries.on_ready = lambda: told.append(0)
    stream.wait(pending, until_closed=True)
    stream.write(LONG)
    assert told == []
    stream.finish()  # the shell is told while the answer is made, and starts to send on the loop's next turn
    assert told[0] == 0
    assert told[1] > TEXT_LIMIT
    assert len(followers(stream)) == 1


def test_the_rest_is_not_kept_from_a_user_whose_bubble_nobody_asks_for_any_more():
    stream = open_stream()
    stream.write(LONG)
    stream.finish()
    table = stream._owner
    pass_time(table, T0 + FETCHED_WITHIN - 0.1)
    assert followers(stream) == []
    pass_time(table, T0 + FETCHED_WITHIN)
    assert len(followers(stream)) == 1
    look(stream)
    assert followers(stream) == []


def test_a_stream_that_has_to_make_room_leaves_its_rest_behind():
    table = make_table(max_streams=1)
    stream = opened(table)
    stream.write(LONG)
    stream.finish()
    opened(table)
    assert len(followers(stream)) == 1
    assert table.unsettled == 1


def test_what_comes_late_waits_for_the_notice_that_announces_it():
    stream = overdue_stream("so far")
    stream.write(", the rest")
    stream.finish()
    assert followers(stream) == []
    assert look(stream) == (f"so far\n\n{TEXTS.overdue}", True)
    assert followers(stream) == [", the rest"]


# Later than a bubble lasts


def test_the_watchdog_ends_the_bubble_and_the_rest_follows_once():
    stream = overdue_stream("so far")
    assert look(stream) == (f"so far\n\n{TEXTS.overdue}", True)
    stream.write(", and the rest")
    assert look(stream, "r2") == (f"so far\n\n{TEXTS.overdue}", True)
    assert late(stream) == []
    stream.finish()
    stream.finish()
    request = stream._owner.deliveries.next_request(T0)
    assert request is not None
    assert (request.url, request.expires_at) == (URL, T0 + LIFETIME)
    assert json.loads(request.body) == {"msgtype": "markdown", "markdown": {"content": ", and the rest"}}
    assert late(stream) == []


@pytest.mark.parametrize(
    ("shown", "written", "rest"),
    [
        ("", "the answer", ["the answer"]),
        ("", "", [TEXTS.silent]),
        ("so far", "", [TEXTS.concluded]),
        ("so far", " \n", [TEXTS.concluded]),
        ("para\n\n", "para", ["para"]),
        ("```py\nx = 1\n", "y = 2\n```", ["```py\ny = 2\n```"]),
        ("<think>hm", "m</think>yes", ["yes"]),
        ("<think>hmm</think>y", "es", ["es"]),
        ("Hi <think>hm", "m</think>yes", ["<think>m</think>yes"]),
    ],
)
def test_what_follows_is_what_was_not_shown(shown: str, written: str, rest: list[str]):
    stream = overdue_stream(shown)
    stream.write(written)
    stream.finish()
    assert late(stream) == rest


def test_what_did_not_fit_the_bubble_follows_too():
    stream = overdue_stream(LONG)
    content, _ = look(stream)
    assert content.endswith(TEXTS.overdue)
    stream.write("the end")
    stream.finish()
    shown = content.removesuffix(f"\n\n{TEXTS.overdue}")
    assert shown + "\n\n" + "".join(late(stream)) == LONG + "the end"


def test_a_replacement_follows_whole():
    stream = overdue_stream("so far")
    stream.replace("all of it")
    stream.finish()
    assert late(stream) == ["all of it"]


@pytest.mark.parametrize(
    ("end", "sentence"),
    [(("fail",), TEXTS.failed), (("cancel", "superseded"), TEXTS.superseded), (("finish",), TEXTS.concluded)],
)
def test_a_late_end_is_told_as_well(end: tuple[str, ...], sentence: str):
    stream = overdue_stream("so far")
    getattr(stream, end[0])(*end[1:])
    assert late(stream) == [sentence]


def test_nothing_is_promised_and_nothing_lost_without_a_response_url():
    silent = overdue_stream(response_url="")
    assert look(silent) == (TEXTS.overdue_lost, True)
    silent.finish()
    assert silent._owner.deliveries.lost == 0
    spoken = overdue_stream(response_url="")
    spoken.write("too late")
    spoken.finish()
    assert spoken._owner.deliveries.lost == 1


def test_what_is_written_too_late_is_not_counted_for_the_bubble():
    stream = overdue_stream("so far")
    table = stream._owner
    held = table.bytes_held
    stream.write("x" * 1000)
    stream.replace("y")
    assert table.bytes_held == held
    table.tick(T0 + 1000)
    stream.write("z" * 1000)
    stream.finish()
    assert table.bytes_held == 0


def test_what_follows_is_bounded_and_let_go():
    stream = overdue_stream("so far")
    for _ in range(4):
        stream.write("x" * 100_000)
    assert len(stream.text) == 2**18
    stream.finish()
    (text,) = late(stream)
    assert text.endswith(TEXTS.cut)
    assert len(stream.text) < 100
