"""Ways to treat a server badly, one connection at a time. Who runs them how often stands in `abusing`.

Sources: the denial-of-service classes that servers of this kind had (slow heads and bodies, unread answers, floods of
chunks, fields and pipelined requests), resets at the worst moments, and what is no HTTP at all. Each way says which
statuses are the right answers to it. The slow ones are stubborn: they go on until the server ends it, since how long a
place can be held is what is asked. All chance comes from a seed.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import NamedTuple

from benchmarks.abused import BIG, ECHO, FILE, HELD, LATE
from benchmarks.link import Link
from benchmarks.traffic import KEY, PATH, TOKEN, Callback, Traffic
from rawbot.simulate.wecom_envelope import decode_reply
from rawbot.wecom.crypto import WeComCrypto

Live = Callable[[Link, random.Random], Awaitable[None]]
"""One connection's life. `OSError`: the server has ended it."""

MEGABYTE = 1024 * 1024
UNREAD = 24 * MEGABYTE
"""What one connection sends in requests without reading an answer: it took uvicorn 0.54.0 with httptools to 1.1 GB."""

_HOST = b"Host: bot\r\n"
_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_PIECE = 64 * 1024
_MANY = 8000
_LONG_VALUE = 16_000
_LAST = b"Connection: close\r\n"


def get(path: str, fields: bytes = b"") -> bytes:
    """Return a GET."""
    return b"GET %b HTTP/1.1\r\n%b%b\r\n" % (path.encode(), _HOST, fields)


def post(path: str, fields: bytes, body: bytes = b"") -> bytes:
    """Return a POST as far as it goes."""
    return b"POST %b HTTP/1.1\r\n%b%b\r\n%b" % (path.encode(), _HOST, fields, body)


def counted(body: bytes, path: str = ECHO) -> bytes:
    """Return a POST that is as long as it says."""
    return post(path, b"Content-Length: %d\r\n" % len(body), body)


# Slow


async def drip_head(link: Link, chance: random.Random) -> None:
    """Send a head byte by byte, without end."""
    await link.drip(get(ECHO)[:-2] + b"X-Slow: " + b"a" * 10_000, chance)


async def drip_body(link: Link, chance: random.Random) -> None:
    """Send a body byte by byte."""
    await link.send(post(ECHO, b"Content-Length: 500000\r\n"))
    await link.drip(bytes(10_000), chance)


async def drip_chunks(link: Link, chance: random.Random) -> None:
    """Send chunk lines byte by byte, with extensions."""
    await link.send(post(ECHO, _CHUNKED))
    await link.drip(b"1;name=value\r\na\r\n" * 1000, chance)


async def fill_body(link: Link, chance: random.Random) -> None:
    """Send all of the largest body but its last byte, and stop."""
    size = MEGABYTE - chance.randrange(2)
    await link.send(post(ECHO, b"Content-Length: %d\r\n" % size, bytes(size - 1)))
    await link.outstay()


async def await_continue(link: Link, _: random.Random) -> None:
    """Ask whether to go on, and do not."""
    await link.send(post(ECHO, b"Content-Length: 9\r\nExpect: 100-continue\r\n"))
    await link.outstay()


async def say_nothing(link: Link, _: random.Random) -> None:
    """Connect."""
    await link.outstay()


async def fall_silent(link: Link, _: random.Random) -> None:
    """Say nothing after a first request."""
    await link.send(counted(b"once"))
    await link.outstay()


async def read_slowly(link: Link, chance: random.Random) -> None:
    """Ask for much and take next to nothing."""
    await link.send(get(BIG) * 40)
    await link.sip(chance)


async def read_file_slowly(link: Link, chance: random.Random) -> None:
    """Ask for a large file and take next to nothing of it."""
    await link.send(get(FILE))
    await link.sip(chance)


async def leave_unread(link: Link, _: random.Random) -> None:
    """Send megabytes of requests and read no answer."""
    batch = get(ECHO) * (_PIECE // len(get(ECHO)))
    for _batch in range(UNREAD // len(batch)):
        await link.send(batch)
    await link.outlast()


# Broken off


async def reset_anywhere(link: Link, chance: random.Random) -> None:
    """Reset in the middle of a head, a body, an answer, a file or a wait."""
    shapes = (
        get(ECHO), counted(b"x" * 5000), post(ECHO, _CHUNKED, b"5\r\nabcde\r\n5\r\nab"), get(BIG) * 3, get(FILE),
        get(LATE), get(LATE) * 5,
    )  # fmt: skip
    data = chance.choice(shapes)
    whole = chance.random() < 0.6
    await link.send(data if whole else data[: chance.randrange(len(data))])
    if whole and chance.random() < 0.5:
        await link.read(chance.choice((1, 100, _PIECE)))
    await asyncio.sleep(chance.choice((0, 0.001, 0.05)))
    link.reset()


async def reset_held_poll(link: Link, chance: random.Random) -> None:
    """Speak to the bot as WeCom does, and be gone while the poll of its answer is held."""
    traffic = Traffic()
    asked = traffic.messages(1)[0]
    await link.send(asked.request)
    stream_id = _stream_of(await link.read_answer(), asked)
    await link.send(traffic.refreshes([stream_id])[0].request)
    await asyncio.sleep(chance.random() * HELD)
    link.reset()


async def half_close(link: Link, chance: random.Random) -> None:
    """Say no more, and wait for what is owed; or do not even read that."""
    shapes = (b"", get(ECHO)[:-2], get(ECHO), get(ECHO) * 200, get(LATE), get(LATE) * 3, get(FILE), counted(b"x")[:-1])
    unread = chance.random() < 0.2
    await link.send(get(BIG) * 40 if unread else chance.choice(shapes))
    link.say_no_more()
    if unread:
        await link.sip(chance)
    await link.outstay()


async def come_and_go(link: Link, chance: random.Random) -> None:
    """Connect for nothing, and leave in one way or the other."""
    if chance.random() < 0.5:
        link.reset()


# Wrong

NONSENSE: tuple[bytes, ...] = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(32)),  # a TLS hello, cut off
    b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",  # an SSL 2 hello
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",  # HTTP/2 (RFC 9113, section 3.4)
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00",  # a remote desktop
    b"*1\r\n$4\r\nPING\r\n",  # Redis
    b"EHLO example.com\r\n",
    b"GET /\r\n\r\n",
    b"GET / HTTP/1.1\n\n",
    b"GET / HTTP/9.9\r\n" + _HOST + b"\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    get("/", b"X: a\r\n b\r\n"),
    get("/", b"X : a\r\n"),
    get("/", b"X: a\x00b\r\n"),
    get("/", _HOST),
    post(ECHO, b"Content-Length: 1\r\nContent-Length: 2\r\n", b"ab"),
    post(ECHO, b"Content-Length: 4\r\n" + _CHUNKED, b"0\r\n\r\n"),
    post(ECHO, b"Content-Length: 1_0\r\n", b"abcdefghij"),
    post(ECHO, b"Transfer-Encoding: gzip, chunked\r\n"),
    post(ECHO, _CHUNKED, b"2\r\nabcd\r\n"),
    post(ECHO, _CHUNKED, b"1;\x00\r\na\r\n"),
    post(ECHO, _CHUNKED, b"fffffffffffffffff\r\n"),
    post(ECHO, b"Expect: tea\r\n"),
    get(ECHO) + b"\x16\x03\x01" + get(ECHO),
)
"""Whole requests or other protocols, all of which must be refused."""


async def speak_nonsense(link: Link, chance: random.Random) -> None:
    """Send what is no good request, in one piece or in two."""
    data = (
        chance.randbytes(chance.randrange(1, 4000)) if chance.random() < 0.2 else chance.choice(link.materials.nonsense)
    )
    cut = chance.choice((0, chance.randrange(len(data) + 1)))
    await link.talk(data[:cut], data[cut:], last=chance.random() < 0.5)


_GOOD = (
    get(ECHO), counted(b"body"), post(ECHO, _CHUNKED, b"4;a=b\r\nbody\r\n0\r\nX: y\r\n\r\n"), get(ECHO) * 3,
    get(LATE), get(FILE, b"Range: bytes=0-9\r\n"), get(ECHO, b"Connection: close\r\n"),
    post(ECHO, b"Content-Length: 4\r\nExpect: 100-continue\r\n", b"body"), b"GET /echo HTTP/1.0\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\n" + _HOST + b"\r\n",
)  # fmt: skip


async def mutate(link: Link, chance: random.Random) -> None:
    """Send a good request in which some bytes are changed, lost or doubled."""
    data = bytearray(chance.choice(_GOOD))
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(data) + 1)
        data[at : at + chance.randrange(3)] = chance.choice(
            (b"", chance.randbytes(1), bytes(data[at : at + 2]) * 2, b"\r\n", b" ", b":", b"0")
        )
    await link.talk(bytes(data), last=True)


async def forge(link: Link, chance: random.Random) -> None:
    """Send the bot's endpoint what was not signed, was cut or was sent before."""
    asked = chance.choice(link.materials.recorded).request
    head, _, body = asked.partition(b"\r\n\r\n")
    wrong = head.replace(b"msg_signature=", b"msg_signature=0", 1)
    shapes = (
        asked * 3, wrong + b"\r\n\r\n" + body, asked.replace(b"timestamp=1", b"timestamp=2", 1), asked[:-9] + b"," * 9,
        wrong.replace(b"msg_signature=", b"sign=", 1) + b"\r\n\r\n" + body, (wrong + b"\r\n\r\n" + body) * 20,
    )  # fmt: skip
    await link.talk(chance.choice(shapes), last=True)


async def send_heavy_json(link: Link, _: random.Random) -> None:
    """Send the bot's endpoint, unsigned, what costs most to read as JSON: a list of lists, 56 bytes for every three."""
    body = b'{"encrypt":[' + b"[]," * ((MEGABYTE - 20) // 3) + b"0]}"
    await link.talk(counted(body, PATH), last=True)


async def write_odd_fields(link: Link, chance: random.Random) -> None:
    """Ask for a file with fields that are long lists of what must be looked at one by one."""
    item = chance.choice((b"0-0,", b",", b'W/"a", ', b'"', b"gzip;q=0.1, ", b" ", b"a;b=c;", b"=", b"\\", b"\t,"))
    name = chance.choice((
        b"Range: bytes=", b"If-None-Match: ", b"If-Match: ", b"If-Range: ", b"If-Modified-Since: ", b"Cookie: ",
        b"Accept-Encoding: ", b"Connection: ", b"Expect: ", b"Forwarded: ", b"X-Forwarded-For: ",
    ))  # fmt: skip
    value = item * (_LONG_VALUE // len(item))
    await link.talk(b"HEAD %b HTTP/1.1\r\n%b%b%bx\r\n\r\n" % (FILE.encode(), _HOST, name, value), last=True)


# Too much


async def send_huge_head(link: Link, chance: random.Random) -> None:
    """Send a head or a target that is too long, or has too many fields, and go on."""
    data = chance.choice((
        get("/" + "a" * 9000), get("/" + "a" * MEGABYTE), get(ECHO, b"X: " + b"a" * 17_000 + b"\r\n"),
        get(ECHO, b"a: b\r\n" * 10_000), get(ECHO, b"X: " + b"a" * MEGABYTE), b"A" * MEGABYTE,
    ))  # fmt: skip
    await link.talk(*_tear(data, chance))


async def send_huge_body(link: Link, chance: random.Random) -> None:
    """Declare or send a body that is too long, and go on."""
    much = bytes(2 * MEGABYTE)
    data = chance.choice((
        post(ECHO, b"Content-Length: 10737418240\r\n", much), post(ECHO, b"Content-Length: 1048577\r\n", much),
        post(ECHO, _CHUNKED, b"200000\r\n" + much),
        post(ECHO, _CHUNKED, (b"fff0\r\n" + bytes(0xFFF0) + b"\r\n") * 20),
    ))  # fmt: skip
    await link.talk(*_tear(data, chance))


async def send_tiny_chunks(link: Link, _: random.Random) -> None:
    """Send a megabyte in chunks of one byte, for as long as that is let in."""
    await link.talk(post(ECHO, _CHUNKED + _LAST), b"1\r\na\r\n" * MEGABYTE + b"0\r\n\r\n")


async def send_small_chunks(link: Link, _: random.Random) -> None:
    """Send a megabyte in chunks of eight bytes, which are larger than what stands beside them."""
    await link.talk(post(ECHO, _CHUNKED + _LAST), b"8\r\nabcdefgh\r\n" * (MEGABYTE // 8) + b"0\r\n\r\n")


async def send_empty_lines(link: Link, _: random.Random) -> None:
    """Send line ends where a request should begin."""
    await link.talk(b"\r\n" * MEGABYTE)


async def pipeline(link: Link, _: random.Random) -> None:
    """Send thousands of requests at once, and take the answers."""
    await link.talk(get(ECHO) * _MANY + get(ECHO, _LAST))


async def push_ahead(link: Link, _: random.Random) -> None:
    """Send thousands of requests behind one whose answer waits."""
    await link.talk(get(LATE) + get(ECHO) * _MANY + get(ECHO, _LAST))


async def stream_body(link: Link, _: random.Random) -> None:
    """Send the largest body, in one chunk, a few times."""
    whole = post(ECHO, _CHUNKED, b"100000\r\n" + bytes(MEGABYTE) + b"\r\n0\r\n\r\n")
    await link.talk(whole, whole, whole, get(ECHO, _LAST))


class Abuser(NamedTuple):
    """One way to live, how many do so at a time, and the seconds between one's end and the next one's beginning."""

    live: Live
    told: frozenset[int]
    """The statuses that are right for it."""
    width: int
    pause: float = 0.0
    window: int | None = None
    """The size of its receive buffer, for those that hardly read and so hear of no end."""


def _abuser(live: Live, *told: int, width: int, pause: float = 0.0, window: int | None = None) -> Abuser:
    return Abuser(live, frozenset(told), width, pause, window)


_REFUSALS = (400, 408, 411, 413, 414, 417, 421, 431, 501, 505)
_SMALL = 4096

ABUSERS = {
    abuser.live.__name__.replace("_", " "): abuser
    for abuser in (
        _abuser(drip_head, 408, width=60),
        _abuser(drip_body, 408, width=60),
        _abuser(drip_chunks, 408, width=60),
        _abuser(fill_body, 408, width=10),
        _abuser(await_continue, 100, 408, width=20),
        _abuser(say_nothing, width=60),
        _abuser(fall_silent, 200, width=60),
        _abuser(read_slowly, 200, width=20, window=_SMALL),
        _abuser(read_file_slowly, 200, width=20, window=_SMALL),
        _abuser(leave_unread, width=2, window=_SMALL),
        _abuser(reset_anywhere, 100, 200, 408, width=4, pause=0.05),
        _abuser(reset_held_poll, 200, width=4, pause=0.1),
        _abuser(half_close, 200, width=4, pause=0.05, window=_SMALL),
        _abuser(come_and_go, width=4, pause=0.05),
        _abuser(speak_nonsense, 200, 404, *_REFUSALS, width=4, pause=0.05),
        _abuser(mutate, 100, 200, 204, 206, 404, 405, 416, *_REFUSALS, width=4, pause=0.05),
        _abuser(forge, 200, 400, 403, width=2, pause=0.05),
        _abuser(send_heavy_json, 400, 408, width=1, pause=0.5),
        _abuser(write_odd_fields, 200, 206, 304, 400, 412, 416, 417, width=2, pause=0.05),
        _abuser(send_huge_head, 408, 414, 431, 501, width=2, pause=0.2),
        _abuser(send_huge_body, 408, 413, width=2, pause=0.2),
        _abuser(send_tiny_chunks, 200, 408, 413, width=1, pause=2.0),
        _abuser(send_small_chunks, 200, 408, 413, width=1, pause=2.0),
        _abuser(send_empty_lines, 431, width=1, pause=0.5),
        _abuser(stream_body, 200, 408, width=1, pause=0.5),
        _abuser(pipeline, 200, width=1, pause=2.0),
        _abuser(push_ahead, 200, width=1, pause=2.0),
    )
}


CROWD = {
    "press in": _abuser(fall_silent, 200, 503, width=100, pause=0.05),
    "stand in the door": _abuser(say_nothing, 503, width=100, pause=0.05),
}
"""Those that come where there are not so many places: harmless one by one."""


def _tear(data: bytes, chance: random.Random) -> list[bytes]:
    """Cut data in up to eight pieces."""
    edges = [0, *sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(8))), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def _stream_of(answer: bytes, asked: Callback) -> str:
    """Return the id of the stream that the bot's answer opens. Raises `ConnectionError` when it opens none."""
    reply, _ = decode_reply(answer.partition(b"\r\n\r\n")[2], crypto=WeComCrypto(TOKEN, KEY), nonce=asked.nonce)
    stream = (reply or {}).get("stream")
    if not isinstance(stream, dict) or not isinstance(stream.get("id"), str):
        raise ConnectionError("the bot has opened no stream")
    return str(stream["id"])
