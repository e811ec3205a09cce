"""Requests as bytes, good and broken, what they must come to, and ways to feed them to a connection.

Sources: RFC 9112 unless a name says another RFC or a published vulnerability; all made by hand.
"""

from collections.abc import Iterable
from itertools import pairwise

from rawbot.errors import ProtocolError
from rawbot.exchange import Response
from rawbot.http.connection import HttpConnection, Phase
from rawbot.http.limits import Limits
from rawbot.http.recognizer import Recognizer

NOW = 1_700_000_000.0
HOST = b"Host: x\r\n"
A_GET = b"GET /a?b=c HTTP/1.1\r\n" + HOST + b"\r\n"
GOT = ("GET", "/a", "b=c", b"", "1.1")


def post(fields: bytes, body: bytes = b"", *, version: bytes = b"1.1") -> bytes:
    return b"POST /p HTTP/" + version + b"\r\n" + HOST + fields + b"\r\n" + body


def posted(body: bytes, version: str = "1.1") -> tuple:
    return ("POST", "/p", "", body, version)


CHUNKED = b"Transfer-Encoding: chunked\r\n"
GOOD = {
    "a GET": (A_GET, [GOT]),
    "three pipelined (9.3.2)": (A_GET + post(b"Content-Length: 2\r\n", b"ab") + A_GET, [GOT, posted(b"ab"), GOT]),
    "nothing of the third": (A_GET + A_GET + A_GET[:-1], [GOT, GOT]),
    "HTTP/1.2 is HTTP/1.1 (RFC 9110, 2.5)": (A_GET.replace(b"1.1", b"1.2"), [GOT]),
    "HTTP/1.0 closes (9.3)": (b"GET / HTTP/1.0\r\n\r\n" + A_GET, [("GET", "/", "", b"", "1.0"), "closed"]),
    "HTTP/1.0 stays when asked": (
        b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n" + A_GET,
        [("GET", "/", "", b"", "1.0"), GOT],
    ),
    "close ends it, whatever follows": (
        A_GET[:-2] + b"Connection: x, Close\r\n\r\n\x00" + A_GET,
        [GOT, "closed"],
    ),
    "a body of length 0": (post(b"Content-Length: 0\r\n") + A_GET, [posted(b""), GOT]),
    "a POST without a body": (post(b"") + A_GET, [posted(b""), GOT]),
    "a body that looks like a request": (post(b"Content-Length: %d\r\n" % len(A_GET), A_GET), [posted(A_GET)]),
    "chunks (7.1)": (post(CHUNKED, b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n") + A_GET, [posted(b"abcde"), GOT]),
    "chunks with extension and trailer (7.1.1, 7.1.2)": (
        post(CHUNKED, b"2;a=b\r\n\r\n\r\n0\r\nX: y\r\n\r\n") + A_GET,
        [posted(b"\r\n"), GOT],
    ),
    "no chunk at all": (post(CHUNKED, b"0\r\n\r\n"), [posted(b"")]),
    "empty lines before a request (2.2)": (b"\r\n\r\n" + A_GET + b"\r\n" + A_GET, [GOT, GOT]),
    "absolute form (3.2.2)": (b"GET http://x/a?b=c HTTP/1.1\r\n" + HOST + b"\r\n", [GOT]),
    "absolute form without a path": (
        b"GET http://x:80?b=c HTTP/1.1\r\n" + HOST + b"\r\nGET http://x HTTP/1.1\r\n" + HOST + b"\r\n",
        [("GET", "/", "b=c", b"", "1.1"), ("GET", "/", "", b"", "1.1")],
    ),
    "asterisk form (3.2.4)": (
        b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n" + A_GET,
        [("OPTIONS", "*", "", b"", "1.1"), GOT],
    ),
    "a query with question marks and escapes": (
        b"GET /%61//../?a=%3F?&b+c HTTP/1.1\r\n" + HOST + b"\r\n",
        [("GET", "/%61//../", "a=%3F?&b+c", b"", "1.1")],
    ),
    "an offer to upgrade is not taken (RFC 9110, 7.8)": (
        A_GET[:-2] + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n" + A_GET,
        [GOT, GOT],
    ),
    "only a carriage return": (b"\r", []),
    "nothing": (b"", []),
}  # fmt: skip
BAD = {
    "length beside chunks (RFC 9112, 6.1)": (post(b"Content-Length: 3\r\n" + CHUNKED, b"0\r\n\r\n") + A_GET, [400]),
    "chunks beside length": (post(CHUNKED + b"Content-Length: 3\r\n", b"0\r\n\r\n") + A_GET, [400]),
    "chunks in HTTP/1.0 (6.1)": (post(b"Connection: keep-alive\r\n" + CHUNKED, b"0\r\n\r\n", version=b"1.0"), [400]),
    "an unknown coding (6.1)": (post(b"Transfer-Encoding: gzip, chunked\r\n"), [501]),
    "an unknown coding alone (6.3)": (post(b"Transfer-Encoding: gzip\r\n"), [400]),
    "two codings": (post(CHUNKED + CHUNKED), [400]),
    "two lengths (6.3)": (post(b"Content-Length: 3\r\nContent-Length: 4\r\n", b"abcd"), [400]),
    "one length said twice (6.3)": (post(b"Content-Length: 2, 2\r\n", b"ab"), [400]),
    "a negative length": (post(b"Content-Length: -1\r\n"), [400]),
    "a length with an underscore": (post(b"Content-Length: 1_0\r\n"), [400]),
    "a length of 5,000 digits (h11 issue 181)": (post(b"Content-Length: " + b"9" * 5000 + b"\r\n"), [400]),
    "no Host (3.2)": (b"GET / HTTP/1.1\r\n\r\n", [400]),
    "two Hosts (3.2)": (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", [400]),
    "a Host that is none (3.2)": (b"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", [400]),
    "line feeds alone (2.2)": (b"GET / HTTP/1.1\nHost: x\n\n" + A_GET, [400]),
    "a carriage return alone (2.2)": (A_GET[:-2] + b"X: a\rb\r\n\r\n", [400]),
    "a folded line (5.2)": (A_GET[:-2] + b"X: a\r\n b\r\n\r\n", [400]),
    "a method that is unknown (RFC 9110, 9.1)": (A_GET.replace(b"GET", b"GOT"), [501]),
    "authority form (3.2.3)": (b"CONNECT x:1 HTTP/1.1\r\n" + HOST + b"\r\n" + A_GET, [501]),
    "another scheme (RFC 9110, 7.4)": (A_GET.replace(b"/a", b"ftp://x/a"), [421]),
    "an unknown expectation (RFC 9110, 10.1.1)": (post(b"Expect: tea\r\n"), [417]),
    "HTTP/1.0 without a length (RFC 1945, 8.3)": (post(b"", version=b"1.0"), [411]),
    "a broken request behind a good one": (A_GET + b"\x16\x03\x01" + A_GET, [GOT, 400]),
    "a TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00", [400]),
    "a blank before the request line": (b" " + A_GET, [400]),
    "a line feed before the request line": (b"\n" + A_GET, [400]),
    "a carriage return before the request line": (b"\r" + A_GET, [400]),
    "HTTP/2's preface (RFC 9113, 3.4)": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [505]),
    "a version that is none (RFC 9110, 15.6.6)": (b"GET / HTTP/9.9\r\n" + HOST + b"\r\n", [505]),
    "HTTP/0.9": (b"GET /\r\n\r\n", [400]),
    "no method": (b"/ HTTP/1.1\r\n" + HOST + b"\r\n", [400]),
    "a blank before the colon (5.1)": (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", [400]),
    "a NUL in a value (RFC 9110, 5.5)": (A_GET[:-2] + b"X: a\x00b\r\n\r\n", [400]),
    "a target that is not ASCII": ("GET /é HTTP/1.1\r\nHost: x\r\n\r\n".encode(), [400]),
    "a chunk size that is none": (post(CHUNKED, b"x\r\n"), [400]),
    "a chunk size with a sign": (post(CHUNKED, b"+2\r\nab\r\n0\r\n\r\n"), [400]),
    "a chunk longer than it says (CVE-2025-43859)": (post(CHUNKED, b"2\r\nabcd0\r\n\r\n"), [400]),
    "a broken extension (7.1.1)": (post(CHUNKED, b"2;a=\x00\r\nab\r\n0\r\n\r\n"), [400]),
    "a broken trailer": (post(CHUNKED, b"0\r\n: x\r\n\r\n"), [400]),
}
CORPUS = GOOD | BAD


def converse(pieces: Iterable[bytes], limits: Limits | None = None, recognizer: Recognizer | None = None) -> list:
    """Feed the pieces, answer everything at once; return the requests, and the status of a refusal."""
    connection = HttpConnection(limits or Limits(), peer="192.0.2.1", recognizer=recognizer)
    said: list = []
    for piece in pieces:
        connection.receive_data(piece)
        try:
            while request := connection.next_request():
                said.append((request.method, request.path, request.query, request.body, request.http_version))
                connection.send(Response(200), NOW)
                if connection.phase is Phase.CLOSED:
                    said.append("closed")
        except ProtocolError as error:
            connection.refuse(error, NOW)
            said.append(error.status)
    return said


def single(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def tear(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]
