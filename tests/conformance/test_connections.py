"""Connections over real sockets: order, persistence, HEAD, expectations (RFC 9112, section 9, and RFC 9110)."""

import asyncio
import socket

import pytest
from conformance_case import (
    CHUNKED,
    CONTINUE,
    FAST_PATH,
    FEEDINGS,
    GOT,
    PROBE,
    Case,
    Feeding,
    Said,
    Talks,
    answered,
    check,
    client_of_a_server,
    closed,
    get,
    post,
    read_all,
    refused,
    send,
)

OLD = b"GET /a?b=c HTTP/1.0"
HEAD = b"HEAD /a HTTP/1.1"
BODILESS = Said(200, head_only=True)
POSTED = b"POST /a ab"
TLS_HELLO = bytes.fromhex("160301020001000001fc0303") + bytes(500)
TWO = b"Content-Length: 2\r\n"


def options(value: bytes, line: bytes = b"GET /a?b=c HTTP/1.1") -> bytes:
    return get(b"Connection: " + value + b"\r\n", line=line)


def expecting(value: bytes, *, version: bytes = b"1.1", body: bytes = b"ab") -> bytes:
    return post(b"Expect: " + value + b"\r\n" + TWO, body, version=version)


CASES = {
    # 9.3: persistence
    "HTTP/1.1 stays (RFC 9112, 9.3)": answered(get(), GOT),
    "close (RFC 9112, 9.6)": closed(options(b"close"), GOT),
    "Close among others (RFC 9110, 7.6.1)": closed(options(b"x, ,Close"), GOT),
    "close in the second of two lines (RFC 9110, 5.3)": closed(get(b"Connection: x\r\nconnection: close\r\n"), GOT),
    "close beside keep-alive (RFC 9112, 9.3)": closed(options(b"keep-alive, close"), GOT),
    "closed is not close (RFC 9110, 7.6.1)": answered(options(b"closed"), GOT),
    "an empty Connection (RFC 9110, 5.6.1)": answered(options(b""), GOT),
    "nothing is read behind close (RFC 9112, 9.6)": closed(options(b"close") + b"\x00\r\n" + get(), GOT),
    "close with a body (RFC 9112, 9.6)": closed(post(b"Connection: close\r\n" + TWO, b"ab") + get(), POSTED),
    "close with chunks (RFC 9112, 9.6)": closed(
        post(b"Connection: close\r\n" + CHUNKED, b"2\r\nab\r\n0\r\n\r\n") + get(), POSTED
    ),
    "HTTP/1.0 closes (RFC 9112, 9.3)": closed(get(line=OLD), GOT),
    "HTTP/1.0 stays when it asks (RFC 9112, 9.3)": answered(options(b"Keep-Alive", OLD), GOT),
    "HTTP/1.0 with keep-alive and close (RFC 9112, 9.3)": closed(options(b"keep-alive, close", OLD), GOT),
    "an offer to upgrade is not taken (RFC 9110, 7.8)": answered(get(b"Connection: upgrade\r\nUpgrade: h2c\r\n"), GOT),
    # 9.3.2: pipelining
    "three at once (RFC 9112, 9.3.2)": answered(get() + post(TWO, b"ab") + get(), GOT, POSTED, GOT),
    "chunks between two (RFC 9112, 9.3.2)": answered(
        get() + post(CHUNKED, b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n") + get(), GOT, POSTED, GOT
    ),
    "twenty at once (CVE-2024-41671)": answered(
        b"".join(get(line=b"GET /a?%d HTTP/1.1" % n) for n in range(20)), *(b"GET /a?%d " % n for n in range(20))
    ),
    "a broken one behind good ones (RFC 9112, 9.3.2)": refused(get() + get() + b"\x00" + get(), 400, GOT, GOT),
    "a good one behind a broken one (CVE-2024-49768)": refused(get(b"A : b\r\n") + get(), 400),
    "a good one behind a broken body (RFC 9112, 9.3.2)": refused(post(CHUNKED, b"x\r\n") + get(), 400),
    "a good one behind a body that is too long (RFC 9110, 15.5.14)": refused(
        post(b"Content-Length: 101\r\n", b"x" * 101) + get(), 413
    ),
    "one without Host behind a good one (RFC 9112, 9.3.2)": refused(get() + get(host=b""), 400, GOT),
    # RFC 9110, 9.3.2 and 15: content
    "HEAD (RFC 9110, 9.3.2)": answered(get(line=HEAD) + get(), BODILESS, GOT),
    "HEAD of what is not there (RFC 9110, 9.3.2)": answered(
        get(line=b"HEAD /nowhere HTTP/1.1") + get(), Said(404, head_only=True), GOT
    ),
    "HEAD that is refused (RFC 9110, 9.3.2)": Case(
        get(b"A : b\r\n", line=HEAD), (Said(400, head_only=True),), stays=False
    ),
    "HEAD without Host (RFC 9110, 9.3.2)": Case(
        get(line=HEAD, host=b""), (Said(400, head_only=True),), stays=False
    ),
    "HEAD with a body that is too long (RFC 9110, 9.3.2)": Case(
        get(b"Content-Length: 101\r\n", line=HEAD), (Said(413, head_only=True),), stays=False
    ),
    "HEAD with a broken body (RFC 9110, 9.3.2)": Case(
        get(CHUNKED, line=HEAD) + b"x\r\n", (Said(400, head_only=True),), stays=False
    ),
    "HEAD in HTTP/1.0 (RFC 9110, 9.3.2)": closed(get(line=b"HEAD /a HTTP/1.0"), BODILESS),
    "204 (RFC 9110, 15.3.5)": answered(get(line=b"GET /nothing HTTP/1.1") + get(), Said(204), GOT),
    "304 (RFC 9110, 15.4.5)": answered(get(line=b"GET /unchanged HTTP/1.1") + get(), Said(304), GOT),
    "HEAD with 204 (RFC 9110, 9.3.2)": answered(get(line=b"HEAD /nothing HTTP/1.1") + get(), Said(204), GOT),
    "404 (RFC 9110, 15.5.5)": answered(get(line=b"GET /nowhere HTTP/1.1") + get(), Said(404), GOT),
    "405 with a body (RFC 9110, 15.5.6)": answered(
        get(TWO, line=b"TRACE /a HTTP/1.1") + b"ab" + get(), Said(405), GOT
    ),
    # RFC 9110, 10.1.1: expectations
    "an expectation of something else (RFC 9110, 10.1.1)": refused(expecting(b"tea"), 417),
    "an expectation beside 100-continue (RFC 9110, 10.1.1)": refused(expecting(b"100-continue, tea"), 417),
    "100-continue with a parameter (RFC 9110, 10.1.1)": refused(expecting(b"100-continue;a=b"), 417),
    "an empty Expect (RFC 9110, 10.1.1)": answered(expecting(b""), POSTED),
    "100-continue without a body (RFC 9110, 10.1.1)": answered(get(b"Expect: 100-continue\r\n"), GOT),
    "100-continue of HTTP/1.0 (RFC 9110, 10.1.1)": closed(expecting(b"100-continue", version=b"1.0"), POSTED),
    "100-continue for what is too long (RFC 9110, 10.1.1)": refused(
        post(b"Expect: 100-continue\r\nContent-Length: 101\r\n"), 413
    ),
    "100-continue for what is broken (RFC 9110, 10.1.1)": refused(
        post(b"Expect: 100-continue\r\nContent-Length: 2, 2\r\n"), 400
    ),
    # Other protocols on this port
    "a TLS hello (RFC 8446, 4.1.2)": refused(TLS_HELLO, 400),
    "the first byte of a TLS hello (RFC 8446, 5.1)": refused(b"\x16", 400),
    "an SSL 2 hello (RFC 5246, appendix E.2)": refused(b"\x80\x2e\x01\x03\x01\x00", 400),
    "HTTP/2's preface (RFC 9113, 3.4)": refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "PRI is nobody's method (RFC 9113, 3.4)": refused(get(line=b"PRI * HTTP/1.1"), 501),
    "the PROXY protocol, version 1 (gunicorn 26.0)": refused(
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + get(), 400
    ),
    "the PROXY protocol, version 2 (gunicorn 26.0)": refused(
        b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12) + get(), 400
    ),
    "an answer (RFC 9112, 4)": refused(b"HTTP/1.1 200 OK\r\n\r\n", 400),
    "SSH (RFC 4253, 4.2)": refused(b"SSH-2.0-x\r\n", 400),
}  # fmt: skip

talks = Talks(CASES)


@pytest.mark.parametrize("fast_path", FAST_PATH)
@pytest.mark.parametrize("feeding", FEEDINGS)
@pytest.mark.parametrize("name", CASES)
def test_a_connection_says_what_it_owes_in_order_and_stays_or_ends_as_the_rfc_says(
    name: str, feeding: Feeding, *, fast_path: bool
):
    check(talks.said(feeding, fast_path=fast_path)[name], CASES[name])


# Clients that close their side (RFC 9112, section 9.6)

HALF_CLOSED = {
    "one request": closed(get(), GOT),
    "three requests": closed(get() + post(TWO, b"ab") + get(), GOT, POSTED, GOT),
    "a request that it asks to be the last": closed(options(b"close"), GOT),
    "half a head behind a request (RFC 9112, 8)": closed(get() + get()[:-1], GOT),
    "half a body (RFC 9112, 8)": closed(post(TWO, b"a")),
    "half a chunked body (RFC 9112, 8)": closed(post(CHUNKED, b"2\r\nab\r\n0\r\n")),
    "half a request line": closed(get()[:5]),
    "nothing": closed(b""),
}


@pytest.mark.parametrize("fast_path", FAST_PATH)
@pytest.mark.parametrize("feeding", FEEDINGS)
@pytest.mark.parametrize("name", HALF_CLOSED)
def test_a_client_that_closes_its_side_gets_what_it_is_owed_and_then_the_end(
    name: str, feeding: Feeding, *, fast_path: bool
):
    case = HALF_CLOSED[name]

    async def go() -> bytes:
        async with client_of_a_server(fast_path=fast_path) as client:
            await send(client, feeding(case.data))
            client.shutdown(socket.SHUT_WR)
            return await read_all(client)

    check(asyncio.run(go()), case, tells_the_end=False)  # it may have answered before it saw the end


BODIES = {
    "a counted body (RFC 9110, 10.1.1)": (expecting(b"100-Continue", body=b""), b"ab"),
    "a body in chunks (RFC 9110, 10.1.1)": (
        post(b"Expect: 100-continue\r\n" + CHUNKED), b"2\r\nab\r\n0\r\n\r\n"
    ),
}  # fmt: skip


@pytest.mark.parametrize("fast_path", FAST_PATH)
@pytest.mark.parametrize("feeding", FEEDINGS)
@pytest.mark.parametrize("name", BODIES)
def test_a_client_that_waits_is_told_once_to_go_on_and_then_answered(name: str, feeding: Feeding, *, fast_path: bool):
    head, body = BODIES[name]

    async def go() -> bytes:
        async with client_of_a_server(fast_path=fast_path) as client:
            await send(client, feeding(head))
            said = await asyncio.get_running_loop().sock_recv(client, 65536)
            await send(client, feeding(body + PROBE))
            return said + await read_all(client)

    check(asyncio.run(go()), Case(head, (CONTINUE, Said(200, POSTED)), stays=True))
