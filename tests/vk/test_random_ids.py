"""rawbot/vk/random_ids.py: the same for the same answer, another for any other, and never 0."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vk_samples import EVENT_ID, GROUP

from rawbot.errors import StateError
from rawbot.vk.random_ids import MAX_RANDOM_ID, random_id

event_ids = st.text(min_size=1, max_size=50)
ids = st.integers(1, 2**63 - 1)


def test_it_is_the_same_in_every_process():
    assert random_id(GROUP, EVENT_ID, 0) == 461740237  # b2sum -l 64, modulo 2**31 - 1
    assert random_id(GROUP, EVENT_ID, 1) == 624901281


@given(ids, event_ids, st.integers(0, 10**6))
def test_it_is_an_integer_of_32_bits_above_0(group_id: int, event_id: str, n: int):
    number = random_id(group_id, event_id, n)
    assert 0 < number <= MAX_RANDOM_ID == 2**31 - 1
    assert random_id(group_id, event_id, n) == number


@given(ids, event_ids)
def test_another_event_group_or_answer_has_another(group_id: int, event_id: str):
    numbers = {
        random_id(group_id, event_id, 0),
        random_id(group_id, event_id, 1),
        random_id(group_id, f"{event_id}0", 0),
        random_id(group_id - 1, event_id, 0),
    }
    assert len(numbers) == 4  # which may fail in one run of 300 million


def test_what_stands_beside_each_other_does_not_run_together():
    assert random_id(1, "11:1", 1) != random_id(11, "1", 11)
    assert random_id(1, "1:1", 1) != random_id(1, "1", 11)


def test_they_are_spread_evenly():
    numbers = [random_id(GROUP, f"{n:040x}", 0) for n in range(4096)]
    assert len(set(numbers)) == len(numbers)
    shares = Counter(number * 16 // 2**31 for number in numbers)
    assert len(shares) == 16
    assert max(shares.values()) < 1.3 * 256
    assert min(shares.values()) > 0.7 * 256


def test_without_an_event_there_is_none():
    with pytest.raises(StateError):
        random_id(GROUP, "", 0)


def test_an_id_that_is_no_unicode_does_no_harm():
    assert random_id(GROUP, "\ud800", 0) != random_id(GROUP, "\ud801", 0)
