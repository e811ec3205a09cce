"""Requests as a fuzzer draws them: mostly what platforms and proxies send, with near misses of everything.

`choose` picks from a sequence. Hypothesis stands behind it in the suite, a random number generator in the long run, so
both draw from the same grammar.

Sources: RFC 9112 and 9110, by section; what lenient readers were caught with, by its number (CVE, GHSA).
"""

import re
from collections.abc import Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Choose(Protocol):
    """Picks one of several, none of which it prefers."""

    def __call__(self, options: Sequence[T], /) -> T: ...


RARELY = (True, *[False] * 31)
SOMETIMES = (True, *[False] * 3)
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
CALLBACK = b"/callback/command?msg_signature=5f0d&timestamp=1700000000&nonce=17&echostr=a%2Fb%3D%3D"

METHODS = (b"GET", b"POST", b"HEAD")
ODD_METHODS = (
    b"get", b"Post", b"PUT", b"OPTIONS", b"CONNECT", b"QUERY", b"PRI", b"GETX", b"XGET", b"", b"G T", b"GET ",
    b" GET", b"\r\nGET", b"\nGET", b"\x00GET", b"GE\xd4", b"\xef\xbb\xbfGET",
)  # fmt: skip
TARGETS = (b"/", b"/a", b"/a?b=c", CALLBACK, b"/?", b"/a?b?c", b"//x/a", b"/%61/./../%", b"/a%00", b"/small")
ODD_TARGETS = (
    b"", b"*", b"a", b"x:1", b"http://x/a", b"https://y?b", b"/a#b", b"/a?b#c", b"/a b", b"/a?b c", b"/a\tb",
    b"/\x00", b"/?\x1f", b"/\x7f", b"/\x80", b"/\xc3\xa9", b"/\"<>\\^`{|}~'", b"/?\"<>\\^`{|}~'", b"/a\rb", b"/a\nb",
    b"?a", b"#", b"/" + b"a" * 30, b"/?" + b"b" * 40, b"/a HTTP/1.1",
)  # fmt: skip
VERSIONS = (b"HTTP/1.1",)
ODD_VERSIONS = (
    b"HTTP/1.0", b"HTTP/1.2", b"HTTP/1.9", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.10", b"HTTP/01.1", b"HTTP/1,1",
    b"HTTP/1", b"http/1.1", b"HTTP/1.1 ", b"\tHTTP/1.1", b"HTTPS/1.1", b"HTTP 1.1", b"", b"HTTP/1.1\x00",
)  # fmt: skip
ENDS = (b"\r\n",)
ODD_ENDS = (
    b"\n", b"\r", b"", b"\r\r\n", b"\n\r", b"\r\n ", b"\r\n\t", b"\r\n\r\n", b" \r\n", b"\x00\r\n", b"\x0b\r\n",
    b"\x85", b"\x0c",
)  # fmt: skip
GAPS = (b" ",)
ODD_GAPS = (b"  ", b"\t", b"", b"\x0b", b"\xa0", b"\r\n", b" \t")

COLONS = (b": ", b":", b":\t", b":  \t ")
ODD_COLONS = (
    b" : ", b"\t:", b" :", b"", b"::", b";", b"=", b":\r\n ", b"\x00:", b":\x00", b"\xa0:", b":\x0b", b":\x0c",
    b"\r:", b"_:", b":\r", b":\n", b":\r\n",
)  # fmt: skip
HOSTS = (
    b"x",
    b"bot.example",
    b"BOT.example:8080",
    b"192.0.2.1:1",
    b"x ",
    b"x\t \t",
    b"x:65535",
    b"x:59999",
    b"x:60000",
)
ODD_HOSTS = (
    b"", b"x:", b"x:0", b"x:00080", b"x:65536", b"x:99999", b"x:1234a", b"[::1]", b"[::1]:80", b"[v1.a]", b"x y",
    b"x,y", b"x/y", b"a@x", b"x_y", b"x%41", b"x%4", b"x%", b"x#y", b"x?y", b"x:y", b"x:-1", b"x:+1", b"x:1 2",
    b"\xc3\xa9", b"x\x00", b"x\xa0", b"-", b".", b"..", b"x:\xb2", b"x:80:80", b"x\x0b", b"x:8\r",
)  # fmt: skip
LENGTHS = (b"0", b"3", b"003", b"3 ", b"\t3\t", b"000000003", b"0000000003", b"35", b"999999999", b"1000000000")
ODD_LENGTHS = (
    b"", b"+3", b"-3", b"-0", b"3.0", b"0x3", b"3,3", b"3, 3", b"3,", b",3", b"3;3", b"3 3", b"1_0", b"3\x00",
    b"3\x0b", b"\xa03", b"\xb2", b"\xef\xbc\x93", b"9" * 18, b"9" * 19, b"18446744073709551619", b"4294967299",
    b"9" * 4400, b"0" * 40, b"3a", b"'3'", b'"3"', b"3\r", b"3\n",
)  # fmt: skip
CONNECTIONS = (b"keep-alive", b"Keep-Alive", b"KEEP-ALIVE ", b"\tkeep-alive")
ODD_CONNECTIONS = (
    b"close", b"Close", b"", b",", b"keep-alive, close", b"close,keep-alive", b"keep-alive,", b"keep-alive, Upgrade",
    b"upgrade", b"TE", b"content-length", b"Host", b"keep-alivex", b"keep-aliv", b"keep-alive;a=b", b"keep_alive",
    b"x\x00",
)  # fmt: skip
HARMLESS = (
    b"User-Agent: Mozilla/4.0 (compatible)", b"Accept: */*", b"Content-Type: text/xml; charset=utf-8",
    b"Pragma: no-cache", b"X-Real-IP: 192.0.2.7", b"X-Forwarded-For: 192.0.2.7, 192.0.2.8",
    b"X-Forwarded-Proto: https", b"A:", b"a:b", b"A: \t", b'Cookie: a=b; c="d"',
    b"X-Note: \xe4\xbd\xa0\xe5\xa5\xbd \x80\xff", b"!#$%&'*+-.^_`|~0: t", b"Accept-Encoding: gzip",
    b"Keep-Alive: timeout=5", b"Proxy-Connection: close", b"Hosts: y", b"Te-a: x", b"X-Host: y",
    b"Content-Length-Of: 9", b"Transfer-Encodings: chunked", b"Connections: close", b"Expected: x",
    b"Upgrade-Insecure-Requests: 1", b"Via: a: b",
)  # fmt: skip
ODD_LINES = (
    b"Transfer-Encoding: chunked", b"transfer-encoding:chunked", b"Transfer-Encoding: identity",
    b"Transfer-Encoding:", b"Transfer-Encoding : chunked", b"Transfer-Encoding\t: chunked",
    b"Transfer_Encoding: chunked", b"\x00Transfer-Encoding: chunked", b" Transfer-Encoding: chunked",
    b"X: y\nTransfer-Encoding: chunked", b"X: y\rTransfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked",
    b"Transfer-\xc4\xb0ncoding: chunked", b"TE: trailers", b"te:", b"Trailer: X", b"Expect: 100-continue",
    b"Expect: tea", b"expect:", b"Upgrade: websocket", b"Upgrade: h2c", b"HTTP2-Settings: AAA", b"X: \x00",
    b"X: \x7f", b"X: \x1f", b"X\x80: y", b"\xd0\x9dost: y", b"(X): y", b"X Y: z", b": x", b"X", b"", b" folded",
    b"\tfolded", b"H\xd5ST: y", b"Host", b"Content-Length", b"Host\r: y", b"Content-Length\x0b: 3",
    b"Content-Length: 3\x00", b"\xef\xbb\xbfHost: y", b"Ho st: y", b"X: Host: y", b"\xe2\x84\xaaeep-Alive: x",
    b"Connection", b"GET / HTTP/1.1",
)  # fmt: skip
CASES = (bytes, bytes.lower, bytes.upper, bytes.swapcase)
BETWEEN = (b"", b"", b"", b"", b"", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"\x00", b"x", b"\x16\x03\x01")
BODIES = (b"abc", b"abc", b"abc", b"", b"ab", b"abcd", b"0\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n", SMUGGLED, b"\x00\r\n")
BITS = tuple(bytes((byte,)) for byte in range(256))
NOTABLE = (
    b"\r", b"\n", b"\r\n", b"\n\n", b"\r\n\r\n", b" ", b"\t", b":", b"\x00", b"\x7f", b"\x80", b"\xa0", b"\xff", b",",
    b"#", b"?", b"%", b'"', b"+", b"-", b"_", b"0", b"9", b"Host:", b"Content-Length: 1\r\n", b"\r\nHost: z\r\n",
    b"/", b"\x0b", b"close", b"chunked", b"Transfer-Encoding: chunked\r\n",
)  # fmt: skip


_ENDS = re.compile(rb"\r\n(?:abc)?")


def draw_line(choose: Choose) -> bytes:
    """Draw what stands on one line of the fields."""
    if choose(RARELY):
        return choose(ODD_LINES)
    if choose(RARELY):
        return _field(choose, b"Content-Length", LENGTHS, ODD_LENGTHS)
    if choose(SOMETIMES):
        return _field(choose, b"Connection", CONNECTIONS, ODD_CONNECTIONS)
    if choose(SOMETIMES):
        return _field(choose, b"X-Any", HOSTS, ODD_LENGTHS)
    return choose(HARMLESS)


def _field(choose: Choose, name: bytes, usual: Sequence[bytes], odd: Sequence[bytes]) -> bytes:
    return choose(CASES)(name) + _either(choose, COLONS, ODD_COLONS) + _either(choose, usual, odd)


def _either(choose: Choose, usual: Sequence[bytes], odd: Sequence[bytes]) -> bytes:
    return choose(odd if choose(RARELY) else usual)


def draw_request(choose: Choose) -> bytes:
    """Draw one request, whole or nearly so."""
    lines = [draw_line(choose) for _ in range(choose(range(5)))]
    for _ in range(choose((0, 2)) if choose(RARELY) else 1):
        lines.insert(choose(range(len(lines) + 1)), _field(choose, b"Host", HOSTS, ODD_HOSTS))
    body = b""
    if choose(SOMETIMES):
        body = choose(BODIES)
        length = choose((b"3", b"35", b"0")) if choose(RARELY) else b"%d" % len(body)
        lines.insert(choose(range(len(lines) + 1)), _field(choose, b"Content-Length", (length,), ODD_LENGTHS))
    line = (
        _either(choose, METHODS, ODD_METHODS)
        + _either(choose, GAPS, ODD_GAPS)
        + _either(choose, TARGETS, ODD_TARGETS)
        + _either(choose, GAPS, ODD_GAPS)
        + _either(choose, VERSIONS, ODD_VERSIONS)
    )
    return b"".join(part + _either(choose, ENDS, ODD_ENDS) for part in (line, *lines, b"")) + body


def draw_stream(choose: Choose) -> bytes:
    """Draw what comes on one connection: up to four requests, and noise between them now and then."""
    requests = [draw_request(choose) for _ in range(choose((1, 1, 2, 3, 4)))]
    return b"".join(request + choose(BETWEEN) for request in requests)


def mangle(choose: Choose, data: bytes) -> bytes:
    """Change bytes of what was good: put in, taken out, replaced, doubled, up to three times."""
    for _ in range(choose((1, 1, 2, 3))):
        start = choose(range(len(data) + 1))
        end = min(len(data), start + choose((0, 0, 1, 1, 2, 5)))
        put = choose((b"", choose(BITS), choose(NOTABLE), data[start:end] * 2))
        data = data[:start] + put + data[end:]
    return data


def draw_cuts(choose: Choose, data: bytes) -> list[int]:
    """Draw where a stream is torn: anywhere, or behind ends of lines and of heads, where requests may begin."""
    places: Sequence[int] = range(len(data) + 1)
    if choose((True, False)):
        places = [found.end() for found in _ENDS.finditer(data)] or places
    return [choose(places) for _ in range(choose((1, 2, 3, 5)))]


def near_misses() -> list[bytes]:
    """Return good requests with one thing odd, or usual in another way: each that the grammar has, in each place."""
    parts = (b"POST", b" ", b"/a?b", b" ", b"HTTP/1.1")
    choices = (METHODS + ODD_METHODS, ODD_GAPS, TARGETS + ODD_TARGETS, ODD_GAPS, ODD_VERSIONS)
    lines = [
        b"".join((*parts[:at], odd, *parts[at + 1 :])) for at, choice in enumerate(choices) for odd in choice
    ]  # fmt: skip
    fields = [
        (b"Host", b"x:80", HOSTS + ODD_HOSTS),
        (b"Content-Length", b"3", LENGTHS + ODD_LENGTHS),
        (b"Connection", b"keep-alive", CONNECTIONS + ODD_CONNECTIONS),
        (b"X-Any", b"y", ODD_LENGTHS),
    ]
    good = [name + b": " + value for name, value, _ in fields]
    sections = [[*good, line] for line in (*HARMLESS, *ODD_LINES)] + [[line, *good] for line in ODD_LINES]
    for at, (name, value, values) in enumerate(fields):
        odd = [name + b": " + other for other in values] + [name + colon + value for colon in COLONS + ODD_COLONS]
        odd += [case(name) + b": " + value for case in CASES]
        sections += [[*good[:at], line, *good[at + 1 :]] for line in odd] + [[*good, line] for line in odd]
        sections.append([*good[:at], *good[at + 1 :]])
    heads = [[line, *good] for line in lines] + [[b"".join(parts), *section] for section in sections]
    found = [b"".join(line + b"\r\n" for line in (*head, b"")) + b"abc" for head in heads]
    first = [b"".join(parts), *good, b""]
    for at in range(len(first)):
        for end in ODD_ENDS:
            ended = [line + (end if number == at else b"\r\n") for number, line in enumerate(first)]
            found.append(b"".join(ended) + b"abc")
    return found
