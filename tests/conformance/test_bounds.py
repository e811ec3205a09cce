"""Limits over real sockets: one below, the limit itself, one above; and what a refused client still sends."""

import asyncio
import socket

import pytest
from conformance_case import (
    CHUNKED,
    FAST_PATH,
    FEEDINGS,
    GOT,
    LIMITS,
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
)


def of_target(size: int) -> bytes:
    return get(line=b"GET /a?" + b"x" * (size - 3) + b" HTTP/1.1")


def of_head(size: int) -> bytes:
    return get(b"A: " + b"x" * (size - len(get()) - 5) + b"\r\n")


def of_fields(count: int) -> bytes:
    return get(b"A: b\r\n" * (count - 1))


def of_body(size: int) -> bytes:
    return post(b"Content-Length: %d\r\n" % size, b"x" * size)


def of_chunks(size: int) -> bytes:
    return post(CHUNKED, b"20\r\n" + b"x" * 32 + b"\r\n%x\r\n" % (size - 32) + b"x" * (size - 32) + b"\r\n0\r\n\r\n")


def of_chunk_line(size: int) -> bytes:
    return post(CHUNKED, b"20;" + b"x" * (size - 5) + b"\r\n" + b"y" * 32 + b"\r\n0\r\n\r\n")


def of_overhead(size: int) -> bytes:
    """Make two chunks of one byte and the last one, with so many bytes around the two."""
    chunk = b"1;" + b"x" * ((size - 17) // 2) + b"\r\ny\r\n"
    return post(CHUNKED, chunk * 2 + b"0" * (1 + (size - 17) % 2) + b"\r\n\r\n")


def of_trailers(size: int) -> bytes:
    return post(CHUNKED, b"0\r\nA: " + b"x" * (size - 7) + b"\r\n\r\n")


def of_trailer_fields(count: int) -> bytes:
    return post(CHUNKED, b"0\r\n" + b"A:\r\n" * count + b"\r\n")


BOUNDS = {
    "a target (RFC 9112, 3)": (of_target, LIMITS.max_target_size, 414),
    "a head (RFC 6585, 5)": (of_head, LIMITS.max_header_size, 431),
    "the fields of a head (RFC 6585, 5)": (of_fields, LIMITS.max_header_count, 431),
    "a body (RFC 9110, 15.5.14)": (of_body, LIMITS.max_body_size, 413),
    "a body in chunks (RFC 9110, 15.5.14)": (of_chunks, LIMITS.max_body_size, 413),
    "the line before a chunk (RFC 9112, 7.1.1)": (of_chunk_line, LIMITS.max_chunk_line_size, 413),
    "what is around chunks (CVE-2023-39326)": (of_overhead, LIMITS.max_chunk_overhead + 2 * 8, 413),
    "trailers (CVE-2026-22815)": (of_trailers, LIMITS.max_trailer_size, 431),
    "the fields of trailers (CVE-2026-22815)": (of_trailer_fields, LIMITS.max_header_count, 431),
}
STEPS = {"one below the limit": -1, "at the limit": 0, "one above the limit": 1}
CASES = {
    f"{name}: {where}": refused(make(limit + step), status) if step > 0 else answered(make(limit + step), Said(200))
    for name, (make, limit, status) in BOUNDS.items()
    for where, step in STEPS.items()
}

talks = Talks(CASES)


@pytest.mark.parametrize("fast_path", FAST_PATH)
@pytest.mark.parametrize("feeding", FEEDINGS)
@pytest.mark.parametrize("name", CASES)
def test_a_limit_is_kept_to_the_byte_however_it_comes(name: str, feeding: Feeding, *, fast_path: bool):
    check(talks.said(feeding, fast_path=fast_path)[name], CASES[name])


# What is still being sent when the answer is out (RFC 9112, section 9.6: the close in stages)

MORE = b"x" * 1024 * 1024
STUBBORN = {
    "a megabyte behind a refused head": refused(get(host=b"") + MORE, 400),
    "a megabyte behind a head that is too long": refused(get(b"A: " + MORE), 431),
    "a megabyte in the request line": refused(b"GET /" + MORE, 414),
    "a megabyte of a body that is too long": refused(post(b"Content-Length: %d\r\n" % len(MORE), MORE), 413),
    "a megabyte of chunks that are too many": refused(
        post(CHUNKED, b"40\r\n" + b"y" * 64 + b"\r\n" + b"50\r\n" + MORE), 413
    ),
    "a megabyte behind the last request": closed(get(b"Connection: close\r\n") + MORE, GOT),
    "a megabyte behind a TLS hello": refused(b"\x16\x03\x01" + MORE, 400),
}


@pytest.mark.parametrize("fast_path", FAST_PATH)
@pytest.mark.parametrize("size", [16 * 1024, len(MORE)])
@pytest.mark.parametrize("name", STUBBORN)
def test_a_client_that_sends_to_the_end_and_only_then_reads_gets_the_answer_and_a_clean_end(
    name: str, size: int, *, fast_path: bool
):
    case = STUBBORN[name]

    async def go() -> bytes:
        async with client_of_a_server(fast_path=fast_path) as client:
            for start in range(0, len(case.data), size):
                await asyncio.get_running_loop().sock_sendall(client, case.data[start : start + size])
            client.shutdown(socket.SHUT_WR)
            return await read_all(client)

    check(asyncio.run(go()), case)
