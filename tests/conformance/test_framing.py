"""Where a body ends, over real sockets: Content-Length, Transfer-Encoding and chunks (RFC 9112, sections 6 and 7)."""

import pytest
from conformance_case import (
    CHUNKED,
    FAST_PATH,
    FEEDINGS,
    GOT,
    LIMITS,
    PROBE,
    Feeding,
    Talks,
    answered,
    check,
    closed,
    get,
    post,
    refused,
)

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


def coded(value: bytes, body: bytes = b"0\r\n\r\n") -> bytes:
    return post(b"Transfer-Encoding: " + value + b"\r\n", body)


def counted(value: bytes, body: bytes = b"") -> bytes:
    return post(b"Content-Length: " + value + b"\r\n", body)


def chunks(body: bytes) -> bytes:
    return post(CHUNKED, body)


POSTED = b"POST /a "
CASES = {
    # 6.2 and 6.3: Content-Length
    "a length (RFC 9112, 6.2)": answered(counted(b"2", b"ab") + get(), POSTED + b"ab", GOT),
    "a length of 0 (RFC 9112, 6.2)": answered(counted(b"0") + get(), POSTED, GOT),
    "a length with zeros before it (RFC 9110, 8.6)": answered(counted(b"002", b"ab"), POSTED + b"ab"),
    "no length is no body (RFC 9112, 6.3)": answered(post(b"") + get(), POSTED, GOT),
    "a GET with a body (RFC 9110, 9.3.1)": answered(get(b"Content-Length: 2\r\n") + b"ab" + get(), GOT + b"ab", GOT),
    "a body that looks like a request (RFC 9112, 6.3)": answered(counted(b"%d" % len(PROBE), PROBE), POSTED + PROBE),
    "a body of NULs and line ends (RFC 9112, 6)": answered(counted(b"5", b"\x00\r\n\r\n"), POSTED + b"\x00\r\n\r\n"),
    "two lengths (CVE-2019-16792)": refused(post(b"Content-Length: 3\r\nContent-Length: 4\r\n", b"abcd"), 400),
    "one length in two lines (RFC 9112, 6.3)": refused(post(b"Content-Length: 2\r\nContent-Length: 2\r\n", b"ab"), 400),
    "one length twice in a line (RFC 9112, 6.3)": refused(counted(b"2, 2", b"ab"), 400),
    "two lengths in a line (RFC 9112, 6.3)": refused(counted(b"2, 3", b"ab"), 400),
    "an empty length (RFC 9110, 8.6)": refused(counted(b""), 400),
    "a negative length (RFC 9110, 8.6)": refused(counted(b"-1"), 400),
    "a length with a plus (GHSA-qppv-j76h-2rpx)": refused(counted(b"+2", b"ab"), 400),
    "a length with an underscore (GHSA-qppv-j76h-2rpx)": refused(counted(b"1_0", b"abcdefghij"), 400),
    "a length in hex (CVE-2022-24801)": refused(counted(b"0x2", b"ab"), 400),
    "a length with a point (RFC 9110, 8.6)": refused(counted(b"2.0", b"ab"), 400),
    "a length with a blank inside (RFC 9110, 8.6)": refused(counted(b"1 0", b"abcdefghij"), 400),
    "a length of other digits (CVE-2025-69224)": refused(counted("２".encode(), b"ab"), 400),
    "a length with a no-break space (CVE-2019-16789)": refused(counted(b"2\xa0", b"ab"), 400),
    "a length of 500 digits (h11 issue 181)": refused(counted(b"9" * 500), 400),
    "a length that wraps at 64 bits (RFC 9112, 6.3)": refused(counted(b"18446744073709551618", b"ab"), 400),
    "a length above the limit (RFC 9110, 15.5.14)": refused(counted(b"%d" % (LIMITS.max_body_size + 1)), 413),
    "a length of 18 digits (RFC 9110, 15.5.14)": refused(counted(b"9" * 18), 413),
    "a length of 10 GiB (RFC 9110, 15.5.14)": refused(counted(b"10737418240"), 413),
    # 6.1: Transfer-Encoding
    "chunked (RFC 9112, 6.1)": answered(coded(b"chunked") + get(), POSTED, GOT),
    "chunked in capitals (RFC 9112, 7)": answered(coded(b"Chunked"), POSTED),
    "blanks and tabs around chunked (RFC 9112, 5)": answered(coded(b" \tchunked\t "), POSTED),
    "TE is another field (RFC 9110, 10.1.4)": answered(get(b"TE: trailers, gzip\r\nConnection: TE\r\n"), GOT),
    "length and chunks (CVE-2020-7658)": refused(post(b"Content-Length: 3\r\n" + CHUNKED, b"0\r\n\r\n"), 400),
    "chunks and length (RFC 9112, 6.1)": refused(post(CHUNKED + b"Content-Length: 5\r\n", b"0\r\n\r\n"), 400),
    "chunks and a length of 0 (RFC 9112, 6.1)": refused(post(CHUNKED + b"Content-Length: 0\r\n", b"0\r\n\r\n"), 400),
    "chunks in HTTP/1.0 (RFC 9112, 6.1)": refused(post(CHUNKED, b"0\r\n\r\n", version=b"1.0"), 400),
    "another coding before chunked (RFC 9112, 6.1)": refused(coded(b"gzip, chunked"), 501),
    "identity before chunked (CVE-2019-16786)": refused(coded(b"identity, chunked"), 501),
    "another coding alone (RFC 9112, 6.3)": refused(coded(b"gzip"), 400),
    "an unknown coding beside a length (CVE-2024-6827)": refused(
        post(b"Transfer-Encoding: x\r\nContent-Length: 2\r\n", b"ab"), 400
    ),
    "identity alone (RFC 9112, 6.3)": refused(coded(b"identity"), 400),
    "chunked not at the end (RFC 9112, 6.3)": refused(coded(b"chunked, gzip"), 400),
    "chunked twice (RFC 9112, 6.1)": refused(coded(b"chunked, chunked"), 400),
    "chunked in two lines (GHSA-753j-mpmx-qq6g)": refused(post(CHUNKED + CHUNKED, b"0\r\n\r\n"), 400),
    "two codings in two lines (CVE-2024-1135)": refused(
        post(b"Transfer-Encoding: gzip\r\n" + CHUNKED, b"0\r\n\r\n"), 400
    ),
    "chunked123 (CVE-2023-47641)": refused(coded(b"chunked123"), 400),
    "xchunked (RFC 9112, 6.3)": refused(coded(b"xchunked"), 400),
    "chunked with a parameter (RFC 9112, 7)": refused(coded(b"chunked;a=b"), 400),
    "chunked in quotes (RFC 9112, 7)": refused(coded(b'"chunked"'), 400),
    "a comma before chunked (RFC 9112, 6.3)": refused(coded(b", chunked"), 400),
    "a comma behind chunked (RFC 9112, 6.3)": refused(coded(b"chunked,"), 400),
    "an empty coding (RFC 9112, 6.3)": refused(coded(b""), 400),
    "a vertical tab before chunked (CVE-2019-16789)": refused(coded(b"\x0bchunked"), 400),
    "a form feed behind chunked (CVE-2019-16789)": refused(coded(b"chunked\x0c"), 400),
    "a no-break space before chunked (CVE-2019-16789)": refused(coded(b"\xa0chunked"), 400),
    "a NUL in chunked (CVE-2023-47627)": refused(coded(b"chun\x00ked"), 400),
    # 7.1: chunks
    "two chunks (RFC 9112, 7.1)": answered(chunks(b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n") + get(), POSTED + b"abcde", GOT),
    "hex in both cases (RFC 9112, 7.1)": answered(
        chunks(b"a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n"), POSTED + b"01234567890123456789a"
    ),
    "zeros before a size (RFC 9112, 7.1)": answered(chunks(b"0000000000000002\r\nab\r\n000\r\n\r\n"), POSTED + b"ab"),
    "data that looks like a chunk (RFC 9112, 7.1)": answered(
        chunks(b"7\r\n0\r\n\r\nab\r\n0\r\n\r\n"), POSTED + b"0\r\n\r\nab"
    ),
    "extensions (RFC 9112, 7.1.1)": answered(chunks(b'2;a;b=c ; d="\\" ;"\r\nab\r\n0;e\r\n\r\n'), POSTED + b"ab"),
    "a blank before a size (CVE-2022-24801)": refused(chunks(b" 2\r\nab\r\n0\r\n\r\n"), 400),
    "a blank behind a size (RFC 9112, 7.1)": refused(chunks(b"2 \r\nab\r\n0\r\n\r\n"), 400),
    "no size (RFC 9112, 7.1)": refused(chunks(b"\r\nab\r\n0\r\n\r\n"), 400),
    "a size that is none (RFC 9112, 7.1)": refused(chunks(b"x\r\n"), 400),
    "a size with a sign (CVE-2022-24761)": refused(chunks(b"+2\r\nab\r\n0\r\n\r\n"), 400),
    "a negative size (RFC 9112, 7.1)": refused(chunks(b"-2\r\nab\r\n0\r\n\r\n"), 400),
    "a size with an underscore (CVE-2022-24761)": refused(chunks(b"0_2\r\nab\r\n0\r\n\r\n"), 400),
    "a size with a prefix (CVE-2022-24761)": refused(chunks(b"0x2\r\nab\r\n0\r\n\r\n"), 400),
    "a size of 17 digits (RFC 9112, 7.1)": refused(chunks(b"0" * 16 + b"2\r\nab\r\n0\r\n\r\n"), 400),
    "a size that wraps at 64 bits (RFC 9112, 7.1)": refused(chunks(b"10000000000000002\r\nab\r\n0\r\n\r\n"), 400),
    "a size of 16 digits (RFC 9112, 7.1)": refused(chunks(b"f" * 16 + b"\r\n"), 413),
    "a bare LF behind a size (RFC 9112, 7.1)": refused(chunks(b"2\nab\r\n0\r\n\r\n"), 400),
    "a bare CR behind a size (RFC 9112, 7.1)": refused(chunks(b"2\rab\r\n0\r\n\r\n"), 400),
    "an LF in an extension (CVE-2024-52304)": refused(chunks(b"2;a\nb\r\nab\r\n0\r\n\r\n"), 400),
    "a CR in an extension (gunicorn 25.3)": refused(chunks(b"2;a\rb\r\nab\r\n0\r\n\r\n"), 400),
    "a NUL in an extension (RFC 9112, 7.1.1)": refused(chunks(b"2;a=\x00\r\nab\r\n0\r\n\r\n"), 400),
    "an extension without a name (RFC 9112, 7.1.1)": refused(chunks(b"2;\r\nab\r\n0\r\n\r\n"), 400),
    "an extension without its value (RFC 9112, 7.1.1)": refused(chunks(b"2;a=\r\nab\r\n0\r\n\r\n"), 400),
    "an extension in an open quote (CVE-2026-2332)": refused(chunks(b'2;a="\r\nab\r\n0\r\n\r\n'), 400),
    "a line end in quotes is one (CVE-2026-2332)": refused(chunks(b'2;a="b\r\nab\r\n0\r\n\r\n" '), 400),
    "an LF in the last chunk's extension (CVE-2024-52304)": refused(chunks(b"0;a\nb\r\n\r\n"), 400),
    "a chunk longer than it says (CVE-2025-43859)": refused(chunks(b"2\r\nabcd0\r\n\r\n"), 400),
    "a chunk shorter than it says (RFC 9112, 7.1)": refused(chunks(b"5\r\nab\r\n0\r\n\r\n"), 400),
    "a chunk that ends in LF (CVE-2025-43859)": refused(chunks(b"2\r\nab\n0\r\n\r\n"), 400),
    "a chunk that ends in CR (CVE-2025-43859)": refused(chunks(b"2\r\nab\r0\r\n\r\n"), 400),
    "a body without its last line (gunicorn 26.1)": refused(chunks(b"2\r\nab\r\n0\r\nX" + SMUGGLED), 400),
    # 7.1.2: trailers
    "a trailer (RFC 9112, 7.1.2)": answered(chunks(b"0\r\nA: b\r\nC:\r\n\r\n") + get(), POSTED, GOT),
    "trailers leave nothing in the stream (CVE-2025-53643)": answered(
        chunks(b"0\r\nA: GET /b HTTP/1.1\r\n\r\n") + get(), POSTED, GOT
    ),
    "a trailer that may be none changes nothing (RFC 9110, 6.5.1)": answered(
        chunks(b"0\r\nContent-Length: 9\r\nHost: y\r\n\r\n") + get(), POSTED, GOT
    ),
    "a trailer with a blank before its colon (RFC 9112, 5.1)": refused(chunks(b"0\r\nA : b\r\n\r\n"), 400),
    "a trailer without a name (RFC 9112, 5)": refused(chunks(b"0\r\n: b\r\n\r\n"), 400),
    "a folded trailer (RFC 9112, 5.2)": refused(chunks(b"0\r\nA: b\r\n c\r\n\r\n"), 400),
    "a NUL in a trailer (RFC 9110, 5.5)": refused(chunks(b"0\r\nA: \x00\r\n\r\n"), 400),
    "a bare LF in the trailers (RFC 9112, 2.2)": refused(chunks(b"0\r\nA: b\n\r\n"), 400),
    "a bare LF behind the last chunk (RFC 9112, 7.1)": refused(chunks(b"0\r\n\n"), 400),
    # RFC 1945
    "a POST of HTTP/1.0 without a length (RFC 1945, 8.3)": refused(post(b"", b"a=b", version=b"1.0"), 411),
    "a POST of HTTP/1.0 (RFC 1945, 8.3)": closed(post(b"Content-Length: 2\r\n", b"ab", version=b"1.0"), POSTED + b"ab"),
}  # fmt: skip

talks = Talks(CASES)


@pytest.mark.parametrize("fast_path", FAST_PATH)
@pytest.mark.parametrize("feeding", FEEDINGS)
@pytest.mark.parametrize("name", CASES)
def test_a_body_ends_where_the_rfc_says_or_is_refused(name: str, feeding: Feeding, *, fast_path: bool):
    check(talks.said(feeding, fast_path=fast_path)[name], CASES[name])
