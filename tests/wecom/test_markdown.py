"""rawbot/wecom/markdown.py: what can be seen, where a text is cut, and how it ends."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rawbot.wecom.markdown import (
    TEXT_LIMIT,
    clean,
    is_blank,
    is_visible,
    open_block,
    prefix,
    shorten,
    split,
    unseen,
    with_notice,
    without_thought,
)

NOTICE = "(cut)"

WORDS = st.text("ab \n.。é😀`~", max_size=120)


@pytest.mark.parametrize("text", ["a", "你好", "👍", "\U0001fadf", ".", " \n x", "`", "<", "é", "e\u0301", "\ue000"])
def test_what_a_user_sees_is_visible(text: str):
    assert is_visible(text)
    assert not is_blank(text)


@pytest.mark.parametrize(
    "text", ["", " \t\r\n", "\u200b\u200d\ufeff", "\u3000\xa0", "\u3164\u2800", "\ufe0f\u034f", "\x00\x1b", "\u2028"]
)
def test_blanks_of_every_kind_are_not_visible(text: str):
    assert not is_visible(text)
    assert is_blank(text)


@pytest.mark.parametrize("text", ["<think>hm</think>", "<think>hm", " <think>a</think>\n<think>b</think>"])
def test_thoughts_fill_an_open_bubble_but_do_not_end_one(text: str):
    assert not is_visible(text)
    assert not is_blank(text)
    assert is_visible("so " + text)


@pytest.mark.parametrize("text", ["<think></think>", "<think>", " <think>\n\n</think> "])
def test_an_empty_think_block_is_blank(text: str):
    assert is_blank(text)
    assert not is_visible(text)


def test_surrogates_are_joined_or_replaced():
    assert clean("a 你 😀") == "a 你 😀"
    assert clean("\ud83d\ude00!") == "😀!"
    assert clean("x\ud83dy\udc00") == "x\ufffdy\ufffd"


@given(st.text(), st.integers(0, 40))
@settings(deadline=None, max_examples=100)
def test_a_prefix_holds_as_many_whole_characters_as_fit(text: str, limit: int):
    text = clean(text)
    front = prefix(text, limit)
    assert text.startswith(front)
    assert len(front.encode()) <= limit
    assert front == text or len(text[: len(front) + 1].encode()) > limit


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("<think>a</think>\n\nHello <think>b</think>", "Hello <think>b</think>"),
        (" \n<think>a</think>", ""),
        ("<think>a", ""),
        ("Hello <think>b</think>", "Hello <think>b</think>"),
        ("", ""),
    ],
)
def test_only_the_thought_at_the_front_is_left_out(text: str, rest: str):
    assert without_thought(text) == rest


def test_a_text_that_fits_is_not_cut():
    assert split("x" * 100, 100) == ("x" * 100, "")
    assert split("é" * 50, 100) == ("é" * 50, "")


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("a" * 60 + "\n\n" + "b" * 20 + "\n" + "c" * 60, "a" * 60 + "\n\n"),
        ("a" * 60 + "\n" + "b. " + "c" * 60, "a" * 60 + "\n"),
        ("好" * 30 + "。" + "b b" + "c" * 60, "好" * 30 + "。"),
        ("a" * 60 + ". " + "b b" + "c" * 60, "a" * 60 + ". "),
        ("a" * 60 + " " + "c" * 60, "a" * 60 + " "),
        ("a" * 20 + "\n\n" + "b" * 60 + " " + "c" * 60, "a" * 20 + "\n\n" + "b" * 60 + " "),  # not in the first half
        ("a" * 120, "a" * 100),
        ("é" * 120, "é" * 50),
        ("a" + "😀" * 120, "a" + "😀" * 24),
    ],
)
def test_the_cut_falls_at_the_best_boundary_of_the_second_half(text: str, head: str):
    assert split(text, 100) == (head, text[len(head) :])


def test_the_cut_avoids_a_code_fence():
    before = "a" * 60 + "\n\n"
    text = before + "```py\n" + "x\n\n" * 30 + "```\nend"
    assert split(text, 100) == (before, text[len(before) :])
    line_above = "a" * 60 + "\n"
    text = line_above + "~~~\nx\n" + "x " * 60
    assert split(text, 100) == (line_above, text[len(line_above) :])


def test_the_cut_may_fall_behind_a_code_fence():
    text = "```\n" + "x\n\n" * 10 + "```\n" + "a" * 40 + "\n\n" + "b" * 60
    assert split(text, 100)[1] == "b" * 60


def test_a_fence_that_fills_the_half_is_closed_and_opened_again():
    text = "intro\n```py\n" + "code line\n" * 20 + "```\nend"
    head, tail = split(text, 100)
    assert head == "intro\n```py\n" + "code line\n" * 7 + "code line\n```"
    assert tail == "```py\n" + "code line\n" * 12 + "```\nend"
    assert len(head.encode()) <= 100


def test_a_fence_without_lines_is_cut_anywhere():
    text = "~~~~\n" + "x" * 200
    head, tail = split(text, 100)
    assert head == "~~~~\n" + "x" * 90 + "\n~~~~"
    assert tail == "~~~~\n" + "x" * 110


def test_a_fence_is_closed_by_its_own_kind_only():
    inside = "```` py\n" + "```\n~~~~\n````x\n" + "x\n\n" * 5
    assert open_block(inside) == ("\n````", "```` py\n")
    assert open_block(inside + "`````\n") == ("", "")


def test_a_fence_with_an_endless_first_line_is_simply_cut():
    text = "```" + "x" * 200
    assert split(text, 100) == (text[:100], text[100:])
    assert open_block(text) == ("", "")


def test_an_indented_fence_is_code_and_no_fence():
    assert open_block("    ```\ncode") == ("", "")
    assert open_block("   ```\ncode") == ("\n```", "   ```\n")


def test_an_open_thought_is_known():
    assert open_block("Hm. <think>so") == ("</think>", "<think>")
    assert open_block("Hm. <think>so</think> yes") == ("", "")


@given(WORDS, st.integers(1, 80))
@example("a\n```\n\n```\n\nb" * 4, 9)
@settings(deadline=None, max_examples=300)
def test_nothing_is_lost_by_a_cut_outside_of_fences(text: str, limit: int):
    head, tail = split(text, limit)
    if open_block(prefix(text, limit)) == ("", ""):
        assert head + tail == text
        assert len(head.encode()) <= limit
        assert bool(tail) == (len(text.encode()) > limit)


@given(st.lists(st.sampled_from(["word ", "line\n", "par\n\n", "```\n", "```py\n", "~~~\n", "好。"]), max_size=60))
@settings(deadline=None, max_examples=300)
def test_both_parts_of_a_cut_text_have_whole_fences(pieces: list[str]):
    text = "".join(pieces)
    head, tail = split(text, 100)
    assert len(head.encode()) <= 100
    if tail:
        assert open_block(head) == ("", "")
        assert bool(open_block(tail)[0]) == bool(open_block(text)[0])


def test_a_notice_stands_below_the_text():
    assert with_notice("Hello", "") == "Hello"
    assert with_notice("Hello", NOTICE) == "Hello\n\n(cut)"
    assert with_notice(" \u200b", NOTICE) == NOTICE


def test_a_notice_stands_outside_of_what_the_text_leaves_open():
    assert with_notice("See\n```py\nx = 1", NOTICE) == "See\n```py\nx = 1\n```\n\n(cut)"
    assert with_notice("<think>hm", NOTICE) == "<think>hm</think>\n\n(cut)"
    assert is_visible(with_notice("<think>hm", NOTICE))


def test_shortening_makes_room_for_the_notice():
    assert shorten("Hello ", NOTICE) == ("Hello\n\n(cut)", "")
    head, tail = shorten("word " * 5000, NOTICE)
    assert head.endswith("word\n\n(cut)")
    assert len(head.encode()) + len(tail) >= 25_000
    assert TEXT_LIMIT - 200 < len(head.encode()) <= TEXT_LIMIT


def test_the_longest_ending_still_fits():
    fence = "~" * 80 + "\n"
    room = TEXT_LIMIT - len("\n" + "~" * 80 + "\n\n" + NOTICE)
    whole, over = (fence + "x" * (room - len(fence) + more) for more in (0, 1))
    assert shorten(whole, NOTICE) == (f"{whole}\n{'~' * 80}\n\n{NOTICE}", "")
    assert len(shorten(whole, NOTICE)[0]) == TEXT_LIMIT
    head, tail = shorten(over, NOTICE)
    assert len(head) <= TEXT_LIMIT
    assert tail.startswith(fence + "x")


def test_shortening_leaves_thoughts_out_first():
    long = "<think>" + "hm " * 10_000 + "</think>"
    assert shorten(long + "Hello", NOTICE) == ("Hello\n\n(cut)", "")
    assert shorten(long[:-8], NOTICE) == (NOTICE, "")
    assert shorten("<think>hm</think>Hello", NOTICE) == ("<think>hm</think>Hello\n\n(cut)", "")


@given(st.lists(st.sampled_from(["w " * 900, "```\n", "~~~~\n", "\n\n", "好" * 999, "<think>"]), max_size=25))
@settings(deadline=None, max_examples=60)
def test_a_shortened_text_always_fits_and_shows_its_notice(pieces: list[str]):
    head, _ = shorten("".join(pieces), NOTICE)
    assert len(head.encode()) <= TEXT_LIMIT
    assert head.endswith(NOTICE)
    assert is_visible(head)


@pytest.mark.parametrize(
    ("text", "shown", "cut_off", "rest"),
    [
        ("one two", "one", "", " two"),
        ("one", "one", "", ""),
        ("anew", "one", "", "anew"),
        ("one two", "one", " and a half", " and a half two"),
        ("```py\na\nb", "```py\na", "", "```py\n\nb"),
        ("```py\na\n", "```py\na", "", "\n"),
        ("<think>hm</think>one two", "one", "", " two"),
        ("<think>still", "", "", ""),
    ],
)
def test_what_is_new_since_the_bubble_s_end_is_unseen(text: str, shown: str, cut_off: str, rest: str):
    assert unseen(text, shown, cut_off) == rest
