"""rawbot/http/answers.py: the head of the answer to our request, in three feedings, and what is none."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websocket_frames import single, tear

from rawbot.errors import ProtocolError
from rawbot.http.answers import MAX_HEAD, AnswerHead, AnswerReader

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
FIELDS = [(b"upgrade", b"websocket"), (b"connection", b"Upgrade")]
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"

HEADS: dict[bytes, tuple[int, list[tuple[bytes, bytes]]]] = {
    SWITCHING + b"\r\n": (101, FIELDS),
    SWITCHING + b"X-A:  b \r\n\r\n": (101, [*FIELDS, (b"x-a", b"b")]),
    b"HTTP/1.1 101\r\n\r\n": (101, []),
    b"HTTP/1.1 100 Continue\r\n\r\n" + EARLY + SWITCHING + b"\r\n": (101, FIELDS),
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n": (200, [(b"content-length", b"3")]),
    b"HTTP/1.0 200 OK\r\n\r\n": (200, []),
    b"HTTP/1.1 204 No Content\r\n\r\n": (204, []),
    b"HTTP/1.1 301 Moved\r\nLocation: /b\r\n\r\n": (301, [(b"location", b"/b")]),
    b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\n\r\n": (401, [(b"www-authenticate", b"Bearer")]),
    EARLY + b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n": (
        403,
        [(b"transfer-encoding", b"chunked")],
    ),
    b"HTTP/1.1 503 \r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n": (
        503,
        [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")],
    ),
    SWITCHING + b"X-Long: " + b"x" * (MAX_HEAD - len(SWITCHING) - 12) + b"\r\n\r\n": (
        101,
        [*FIELDS, (b"x-long", b"x" * (MAX_HEAD - len(SWITCHING) - 12))],
    ),
}
"""Heads, and what they say."""

RESTS = (b"", b"\x81\x05Hello", b"HTTP/1.1 200 OK\r\n\r\n", b"\r\n", bytes(100_000))
"""What may come behind one."""

NOT_HTTP = (
    b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    b"-ERR unknown command\r\n\r\n",
    b"\x16\x03\x01\x00\x05hello",
    b"HTTP/2 101 Switching\r\n\r\n",
    b"HTTP/1.1 1O1 Switching\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\nno field\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\nX : blank\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"\r\n\r\n",
)

ENDLESS = (
    b"H" * (MAX_HEAD + 1),
    SWITCHING + b"X-Long: " + b"x" * MAX_HEAD,
    SWITCHING + b"X-Long: " + b"x" * MAX_HEAD + b"\r\n\r\n",
    SWITCHING + b"X: y\r\n" * (MAX_HEAD // 6),
    EARLY * (MAX_HEAD // len(EARLY) + 1),
    EARLY * (MAX_HEAD // len(EARLY)) + SWITCHING + b"\r\n",
)


def feed(pieces: Sequence[bytes]) -> AnswerHead | str | None:
    """Feed the pieces till there is a head, or what is wrong; what was not fed yet is of the rest."""
    reader = AnswerReader()
    for at, piece in enumerate(pieces):
        try:
            head = reader.receive_data(piece)
        except ProtocolError as error:
            return str(error)
        if head is not None:
            return head._replace(rest=head.rest + b"".join(pieces[at + 1 :]))
    return None


@pytest.mark.parametrize("wire", HEADS, ids=range(len(HEADS)))
@pytest.mark.parametrize("rest", RESTS, ids=["nothing", "a frame", "HTTP", "a blank line", "much"])
def test_a_head_is_read_however_it_comes_and_nothing_behind_it_is_lost(wire: bytes, rest: bytes):
    expected = AnswerHead(*HEADS[wire], rest)
    assert feed([wire + rest]) == expected
    assert feed([wire, rest]) == expected
    assert feed([*single(wire), rest]) == expected


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(list(HEADS)), st.sampled_from(RESTS[:4]), st.lists(st.integers(0, 10_000), max_size=6))
def test_a_head_is_read_wherever_it_is_torn(wire: bytes, rest: bytes, cuts: list[int]):
    assert feed(tear(wire + rest, cuts)) == AnswerHead(*HEADS[wire], rest)


@pytest.mark.parametrize("wire", HEADS, ids=range(len(HEADS)))
def test_a_head_that_is_not_whole_is_waited_for(wire: bytes):
    assert feed([wire[:-1]]) is None
    assert feed(single(wire[:-1])) is None
    assert feed([]) is None


@pytest.mark.parametrize("wire", NOT_HTTP)
def test_what_is_no_answer_is_the_peer_s_fault_and_not_quoted(wire: bytes):
    assert feed([wire]) == "the answer is not HTTP"
    assert feed(single(wire)) == "the answer is not HTTP"


@pytest.mark.parametrize("wire", ENDLESS, ids=range(len(ENDLESS)))
def test_a_head_that_does_not_end_is_given_up(wire: bytes):
    for pieces in ([wire], single(wire), [wire[:100], wire[100:]]):
        assert feed(pieces) in ("the head of the answer is too long", "the answer is not HTTP")  # h11 may notice first


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.sampled_from([b"HTTP/1.1 ", b"101", b"200", b" OK", b"\r\n", b"\n", b"X: y", b"\0", b" "]) | st.binary()
    )
)
def test_whatever_comes_is_a_head_or_none_or_the_peer_s_fault_however_it_comes(parts: list[bytes]):
    wire = b"".join(parts)
    outcome = feed([wire])
    assert feed(single(wire)) == outcome
    if isinstance(outcome, AnswerHead):
        assert wire.endswith(outcome.rest)
        assert all(name == name.lower() for name, _ in outcome.headers)
