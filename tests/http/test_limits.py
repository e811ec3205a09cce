"""rawbot/http/limits.py: what cannot work is refused when it is made; what was made is kept to the byte."""

from collections.abc import Callable

import pytest
from http_corpus import A_GET, CHUNKED, GOT, HOST, converse, post, single

from rawbot.errors import ConfigError, LimitError
from rawbot.http.connection import HttpConnection
from rawbot.http.limits import Limits


def test_the_defaults_are_what_the_documentation_says():
    limits = Limits()
    assert (limits.max_target_size, limits.max_header_size, limits.max_body_size) == (8192, 16384, 1048576)
    assert (limits.max_header_count, limits.max_trailer_size) == (100, 4096)
    assert (limits.max_chunk_line_size, limits.max_chunk_overhead) == (256, 16384)


def test_no_body_at_all_may_be_allowed():
    assert Limits(max_target_size=1, max_header_size=2, max_body_size=0).max_body_size == 0


def test_the_smallest_limits_that_can_work_are_taken():
    assert Limits(max_header_count=1, max_chunk_line_size=18, max_chunk_overhead=0, max_trailer_size=2)


@pytest.mark.parametrize(
    "limits",
    [
        {"max_target_size": 0},
        {"max_target_size": 16384},
        {"max_header_size": 8192},
        {"max_header_count": 0},
        {"max_body_size": -1},
        {"max_chunk_line_size": 17},
        {"max_chunk_overhead": -1},
        {"max_trailer_size": 1},
    ],
)
def test_limits_that_contradict_each_other_are_refused(limits: dict[str, int]):
    with pytest.raises(ConfigError):
        Limits(**limits)


# Kept by a connection

LIMITS = Limits(max_target_size=100, max_header_size=300, max_header_count=5, max_body_size=50)


def of_target(size: int) -> bytes:
    return b"GET /" + b"a" * (size - 1) + b" HTTP/1.1\r\n" + HOST + b"\r\n"


def of_head(size: int) -> bytes:
    return A_GET[:-2] + b"X: " + b"a" * (size - len(A_GET) - 5) + b"\r\n\r\n"


def of_fields(count: int) -> bytes:
    return A_GET[:-2] + b"X: a\r\n" * (count - 1) + b"\r\n"


def of_body(size: int) -> bytes:
    return post(b"Content-Length: %d\r\n" % size, b"a" * size)


def in_chunks(size: int) -> bytes:
    return post(CHUNKED, b"20\r\n" + b"a" * 32 + b"\r\n%x\r\n" % (size - 32) + b"a" * (size - 32) + b"\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    ("make", "limit", "status"),
    [(of_target, 100, 414), (of_head, 300, 431), (of_fields, 5, 431), (of_body, 50, 413), (in_chunks, 50, 413)],
)
@pytest.mark.parametrize("pieces", [lambda data: [data], single])
def test_a_limit_lets_in_what_is_as_long_and_refuses_what_is_longer_however_it_comes(
    make: Callable[[int], bytes], limit: int, status: int, pieces: Callable[[bytes], list[bytes]]
):
    assert isinstance(converse(pieces(make(limit - 1) + A_GET), LIMITS)[0], tuple)
    assert converse(pieces(make(limit) + A_GET), LIMITS)[1] == GOT
    assert converse(pieces(make(limit + 1) + A_GET), LIMITS) == [status]


def bytes_until_refusal(data: bytes) -> int:
    connection = HttpConnection(LIMITS)
    for count, piece in enumerate(single(data), 1):
        connection.receive_data(piece)
        try:
            connection.next_request()
        except LimitError:
            return count
    raise AssertionError("it was not refused")


def test_what_is_too_long_is_refused_before_it_is_there():
    assert bytes_until_refusal(b"GET /" + b"a" * 1000) <= 100 + 100
    assert bytes_until_refusal(A_GET[:-2] + b"X: " + b"a" * 1000) == 300 + 1
    declared = post(b"Content-Length: 51\r\n")
    assert bytes_until_refusal(declared + b"a") == len(declared)
    sized = post(CHUNKED, b"FFFFFFFF\r\n")
    assert bytes_until_refusal(sized + b"a" * 1000) == len(sized)


def test_a_head_that_is_too_long_is_refused_in_one_piece_too():
    """h11 bounds incomplete heads only (h11 0.16): 110 KB with 10,000 fields in one recv would pass."""
    assert converse([A_GET[:-2] + b"X-A: 12345\r\n" * 10_000 + b"\r\n"]) == [431]
