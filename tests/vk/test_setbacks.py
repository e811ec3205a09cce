"""rawbot/vk/setbacks.py: how long a poller waits, and of what the operator hears."""

import pytest

from rawbot.errors import ProtocolError
from rawbot.vk.errors import (
    AccessError,
    AnswerError,
    AuthError,
    CallTimeoutError,
    CaptchaError,
    FloodError,
    InternalError,
    QueueFullError,
    RateError,
    ShutdownError,
    UnreachableError,
    VKError,
)
from rawbot.vk.setbacks import COMPLAIN_AFTER, LONGEST, SLOW_FIRST, SLOW_LONGEST, LongPollError, Setbacks


def setbacks(chance: bytes = b"\0\0\0\0") -> Setbacks:
    return Setbacks("community 1", lambda count: chance[:count])


def told(of: Setbacks) -> list[str]:
    assert all(isinstance(complaint, LongPollError) for complaint in of.complaints)
    return [str(complaint) for complaint in of.complaints]


def test_waits_double_up_to_a_longest_and_vary_by_chance():
    least, most = setbacks(b"\0\0\0\0"), setbacks(b"\xff\xff\xff\xff")
    assert [least.pause(times) for times in range(5)] == [0.0, 0.25, 0.5, 1.0, 2.0]
    assert [round(most.pause(times), 6) for times in range(5)] == [0.0, 0.5, 1.0, 2.0, 4.0]
    for times in (20, 1000, 10**9):
        assert (least.pause(times), round(most.pause(times), 6)) == (LONGEST / 2, LONGEST)


def test_slow_waits_are_minutes():
    least, most = setbacks(b"\0\0\0\0"), setbacks(b"\xff\xff\xff\xff")
    assert least.slow_pause(1) == SLOW_FIRST / 2 >= 120
    assert round(most.slow_pause(1), 3) == SLOW_FIRST
    assert least.slow_pause(99) == SLOW_LONGEST / 2


def test_the_operator_hears_of_a_series_once():
    these = setbacks()
    for number in range(1, 10):
        these.note_poll("HTTP 502")
        assert len(these.complaints) == (number >= COMPLAIN_AFTER)
    assert told(these) == ["Long Poll of community 1: 3 polls in a row have failed, the last one with: HTTP 502"]
    assert (these.failures, these.streak) == ({"HTTP 502": 9}, 9)


@pytest.mark.parametrize(
    ("error", "label"),
    [
        (AuthError(5, "no"), "key: 5"),
        (AccessError(15, "no"), "key: 15"),
        (FloodError(29, "no"), "key: 29"),
        (FloodError(9, "no"), "key: 9"),
        (CaptchaError(14, "no"), "key: 14"),
        (VKError(100, "longpoll for this group is not enabled"), "key: 100"),
        (ShutdownError(0, "no"), "key: ShutdownError"),
        (ProtocolError("no"), "key: unreadable"),
    ],
)
def test_where_haste_would_do_harm_or_a_person_is_needed_minutes_are_waited(error: VKError, label: str):
    these = setbacks()
    assert [these.note_key(error) for _ in range(6)] == [150.0, 300.0, 600.0, 1200.0, 1800.0, 1800.0]
    assert these.failures == {label: 6}
    assert told(these)[0] == f"Long Poll of community 1: there is no key: {error}; the next try is in 150 s"
    assert len(these.complaints) == 6  # one in some minutes


@pytest.mark.parametrize(
    "error",
    [
        InternalError(10, "no"),
        InternalError(1, "no"),
        RateError(6, "no"),
        AnswerError(0, "HTTP 502"),
        UnreachableError(0, "no connection"),
        CallTimeoutError(0, "no result"),
        QueueFullError(0, "full"),
    ],
)
def test_what_breaks_is_tried_again_soon(error: VKError):
    these = setbacks()
    assert [these.note_key(error) for _ in range(4)] == [0.25, 0.5, 1.0, 2.0]
    assert len(told(these)) == 1
    these.end_of_keyless()
    assert these.note_key(error) == 0.25


def test_a_start_forgets_what_was_wrong_and_keeps_the_counts():
    these = setbacks()
    for _ in range(3):
        these.note_poll("no JSON")
        these.note_key(UnreachableError(0, "no connection"))
    these.start()
    assert (these.streak, told(these), these.note_key(UnreachableError(0, "x"))) == (0, [], 0.25)
    assert these.failures == {"no JSON": 3, "key: UnreachableError": 4}


def test_complaints_do_not_pile_up():
    these = setbacks()
    for number in range(100):
        these.complain(str(number))
    assert (len(these.complaints), told(these)[-1]) == (10, "Long Poll of community 1: 99")
