"""rawbot/vk/texts.py: texts as VK takes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawbot.vk import texts
from rawbot.vk.texts import MAX_TEXT, clean, split


def test_a_short_text_is_one_message_as_it_is():
    assert split(" привет\n") == [" привет\n"]


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\u2003" * (MAX_TEXT + 1)])
def test_of_blanks_no_message_is_made(text: str):
    assert split(text) == []


def test_a_text_that_just_fits_is_one_message():
    assert split("x" * MAX_TEXT) == ["x" * MAX_TEXT]
    assert split("x" * (MAX_TEXT + 1)) == ["x" * MAX_TEXT, "x"]


def test_it_is_cut_at_the_last_line_end_of_the_second_half_else_behind_a_word():
    lines = "a" * 5000 + "\n" + "b" * 3000 + " " + "c" * 3000
    assert split(lines) == ["a" * 5000, "b" * 3000 + " " + "c" * 3000]
    words = "a" * 5000 + " " + "b" * 5000
    assert split(words) == ["a" * 5000, "b" * 5000]


def test_a_line_end_in_the_first_half_is_no_place_to_cut():
    assert split("a\n" + "b" * MAX_TEXT) == ["a\n" + "b" * (MAX_TEXT - 2), "bb"]


@given(st.text(alphabet="ab \n", max_size=200), st.integers(4, 40))
def test_nothing_but_blanks_is_lost_and_no_part_is_too_long(text: str, limit: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(texts, "MAX_TEXT", limit)
        parts = split(text)
    assert all(part.strip() and len(part) <= limit for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


def test_half_of_a_surrogate_pair_is_replaced_and_two_halves_are_put_together():
    assert clean("a\ud83d") == "a\ufffd"
    assert clean("\ud83d" + "\ude00") == "\U0001f600"
    assert clean("привет") == "привет"


@given(st.text(alphabet=st.characters(codec=None)))
def test_whatever_was_written_can_be_encoded(text: str):
    clean(text).encode()
