"""rawbot/vk/retries.py: what is repeated and when. Every case is one of error, call and chance."""

import pytest

from rawbot.exchange import Response
from rawbot.vk import errors
from rawbot.vk.calls import Call
from rawbot.vk.errors import VKError, decode_error
from rawbot.vk.retries import BACK_OFF, MAX_HINT, MAX_TRIES, MAX_WAIT, PAUSE, read_retry_after, wait_before

AT_ONCE_NEVER = [9, 14, 29, 5, 27, 28, 15, 100, 901, 13]


def make(*, idempotent: bool = False, tries: int = 0) -> Call:
    call = Call("messages.send", {}, lambda _: None, 30, idempotent)
    call.tries = tries
    return call


def vk(code: int) -> VKError:
    return decode_error({"error_code": code})


@pytest.mark.parametrize("code", AT_ONCE_NEVER)
def test_what_haste_would_make_worse_is_never_repeated(code: int):
    assert wait_before(make(idempotent=True), vk(code), 0.5) is None


@pytest.mark.parametrize("error", [vk(1), vk(10), errors.AnswerError(0, "HTTP 502")])
def test_what_may_have_taken_effect_is_repeated_only_if_that_does_no_harm(error: VKError):
    assert wait_before(make(), error, 0.5) is None
    assert wait_before(make(idempotent=True), error, 0.5) is not None


@pytest.mark.parametrize("error", [vk(6), errors.UnreachableError(0, "no connection")])
def test_what_was_surely_not_carried_out_is_repeated(error: VKError):
    assert wait_before(make(), error, 0.5) is not None


def test_who_was_too_fast_pauses_at_least_a_third_of_a_second():
    assert wait_before(make(), vk(6), 0.0) == PAUSE == 0.34
    waits = [wait_before(make(tries=tries), vk(6), 1.0) for tries in range(MAX_TRIES)]
    assert waits == sorted(waits)
    assert waits[-1] == MAX_WAIT + PAUSE


def test_waits_for_what_broke_grow_to_a_limit_and_differ_by_chance():
    error = vk(10)
    longest = [wait_before(make(idempotent=True, tries=tries), error, 1.0) for tries in range(MAX_TRIES)]
    assert longest == [BACK_OFF, 1.0, 2.0, 4.0, 8.0, MAX_WAIT, MAX_WAIT, MAX_WAIT]
    shortest = [wait_before(make(idempotent=True, tries=tries), error, 0.0) for tries in range(MAX_TRIES)]
    assert shortest == [wait / 2 for wait in longest]


@pytest.mark.parametrize("code", [6, 10])
def test_there_is_an_end_to_repetition(code: int):
    assert wait_before(make(idempotent=True, tries=MAX_TRIES), vk(code), 0.5) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"0", 0.0),
        (b"7", 7.0),
        (b"3600", MAX_HINT),
        (b"9" * 5000, MAX_HINT),
        (b"-1", 0.0),
        (b"1.5", 0.0),
        (b"", 0.0),
        ("٣".encode(), 0.0),
        (b"Fri, 20 Nov 2026 10:00:00 GMT", 0.0),
    ],
)
def test_the_server_s_wish_is_heeded_within_reason(value: bytes, seconds: float):
    headers = [(b"content-type", b"text/html"), (b"retry-after", value)]
    assert read_retry_after(Response(503, headers=headers)) == seconds


def test_without_a_wish_there_is_nothing_to_heed():
    assert read_retry_after(None) == read_retry_after(Response(503)) == 0.0
