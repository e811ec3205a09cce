"""Header fields over real sockets: RFC 9112, section 5, and Host (RFC 9112, section 3.2, and RFC 9110, section 7.2)."""

import pytest
from conformance_case import FAST_PATH, FEEDINGS, GOT, HOST, Feeding, Talks, answered, check, closed, get, refused


def hosted(value: bytes) -> bytes:
    return get(host=b"Host: " + value + b"\r\n")


OLD = b"GET /a?b=c HTTP/1.0"

CASES = {
    # 5.1: lines
    "no blank behind the colon (RFC 9112, 5)": answered(get(b"A:b\r\n"), GOT),
    "tabs and blanks around a value (RFC 9112, 5)": answered(get(b"A: \t b \t \r\n"), GOT),
    "an empty value (RFC 9110, 5.5)": answered(get(b"A:\r\nB: \r\n"), GOT),
    "a name of all characters of a token (RFC 9110, 5.6.2)": answered(get(b"!#$%&'*+.^_`|~1a-: b\r\n"), GOT),
    "a value that is not ASCII (RFC 9110, 5.5)": answered(get("A: ü\r\n".encode()), GOT),
    "a colon in a value (RFC 9112, 5)": answered(get(b"A: b:c::\r\n"), GOT),
    "a field twice (RFC 9110, 5.3)": answered(get(b"A: b\r\nA: c\r\n"), GOT),
    "a blank before the colon (RFC 9112, 5.1)": refused(get(b"A : b\r\n"), 400),
    "a tab before the colon (RFC 9112, 5.1)": refused(get(b"A\t: b\r\n"), 400),
    "a blank before Host's colon (RFC 9112, 5.1)": refused(get(host=b"Host : x\r\n"), 400),
    "a blank before the colon of Content-Length (RFC 9112, 5.1)": refused(get(b"Content-Length : 5\r\n"), 400),
    "no colon (RFC 9112, 5)": refused(get(b"A b\r\n"), 400),
    "no name (RFC 9112, 5)": refused(get(b": b\r\n"), 400),
    "a name with a blank (CVE-2023-47627)": refused(get(b"A B: c\r\n"), 400),
    "a name with a bracket (RFC 9110, 5.6.2)": refused(get(b"A[0]: b\r\n"), 400),
    "a name with a quote (RFC 9110, 5.6.2)": refused(get(b'"A": b\r\n'), 400),
    "a name that is not ASCII (RFC 9110, 5.6.2)": refused(get("Ä: b\r\n".encode()), 400),
    "a name with a NUL (CVE-2023-47627)": refused(get(b"A\x00: b\r\n"), 400),
    "a blank before the first field (RFC 9112, 2.2)": refused(get(host=b" Host: x\r\n"), 400),
    "a line of one blank before the fields (RFC 9112, 2.2)": refused(get(host=b" \r\n" + HOST), 400),
    # 5.2: line folding
    "a folded line (RFC 9112, 5.2)": refused(get(b"A: b\r\n c\r\n"), 400),
    "a line folded with a tab (RFC 9112, 5.2)": refused(get(b"A: b\r\n\tc\r\n"), 400),
    "a folded Transfer-Encoding (RFC 9112, 5.2)": refused(get(b"Transfer-Encoding:\r\n chunked\r\n"), 400),
    "a folded line behind Host (RFC 9112, 5.2)": refused(hosted(b"x\r\n y"), 400),
    # 5.5 of RFC 9110: control characters
    "a NUL in a value (RFC 9110, 5.5)": refused(get(b"A: b\x00c\r\n"), 400),
    "a bare CR in a value (CVE-2023-30589)": refused(get(b"A: b\rContent-Length: 5\r\n"), 400),
    "a bare CR behind a value (RFC 9112, 2.2)": refused(get(b"A: b\r\r\n"), 400),
    "a bare LF behind a value (CVE-2019-16785)": refused(get(b"A: b\n"), 400),
    "a bare LF before a hidden field (RFC 9112, 2.2)": refused(get(b"A: b\nContent-Length: 5\r\n"), 400),
    "a bare LF for the empty line (RFC 9112, 2.2)": refused(get()[:-2] + b"\n", 400),
    "a vertical tab in a value (RFC 9110, 5.5)": refused(get(b"A: b\x0bc\r\n"), 400),
    "a bell in a value (RFC 9110, 5.5)": refused(get(b"A: \x07\r\n"), 400),
    "a DEL in a value (RFC 9110, 5.5)": refused(get(b"A: \x7f\r\n"), 400),
    # Host
    "no Host (RFC 9112, 3.2)": refused(get(host=b""), 400),
    "no Host in HTTP/1.2 (RFC 9112, 3.2)": refused(get(line=b"GET /a HTTP/1.2", host=b""), 400),
    "no Host in HTTP/1.0 (RFC 9112, 3.2)": closed(get(line=OLD, host=b""), GOT),
    "an empty Host (RFC 9112, 3.2)": answered(hosted(b""), GOT),
    "Host twice (CVE-2026-34525)": refused(get(HOST), 400),
    "two different Hosts (RFC 9112, 3.2)": refused(get(b"host: y\r\n"), 400),
    "Host twice in HTTP/1.0 (RFC 9112, 3.2)": refused(get(HOST, line=OLD), 400),
    "Host and an empty Host (RFC 9112, 3.2)": refused(get(b"Host:\r\n"), 400),
    "Host with a port (RFC 9110, 7.2)": answered(hosted(b"x:8080"), GOT),
    "Host with an empty port (RFC 3986, 3.2.3)": answered(hosted(b"x:"), GOT),
    "Host with an IPv4 address (RFC 3986, 3.2.2)": answered(hosted(b"192.0.2.1:80"), GOT),
    "Host with an IPv6 address (RFC 3986, 3.2.2)": answered(hosted(b"[2001:db8::1]:80"), GOT),
    "Host with an IPv6 address that ends in IPv4 (RFC 3986, 3.2.2)": answered(hosted(b"[::ffff:192.0.2.1]"), GOT),
    "Host with an address of the future (RFC 3986, 3.2.2)": answered(hosted(b"[v1.a:b]"), GOT),
    "Host with a comma, which a name may have (RFC 3986, 3.2.2)": answered(hosted(b"x,y"), GOT),
    "Host with a percent-encoded name (RFC 3986, 3.2.2)": answered(hosted(b"%e4.example"), GOT),
    "Host with an underscore (RFC 3986, 3.2.2)": answered(hosted(b"a_b.example"), GOT),
    "Host with half an escape (RFC 3986, 2.1)": refused(hosted(b"a%2"), 400),
    "Host with a path (RFC 9110, 7.2)": refused(hosted(b"x/a"), 400),
    "Host with a user name (RFC 9110, 4.2.4)": refused(hosted(b"u@x"), 400),
    "Host with a blank (RFC 9110, 7.2)": refused(hosted(b"x y"), 400),
    "Host with a query (RFC 9110, 7.2)": refused(hosted(b"x?a"), 400),
    "Host with a scheme (RFC 9110, 7.2)": refused(hosted(b"http://x"), 400),
    "Host with a port that is none (RFC 3986, 3.2.3)": refused(hosted(b"x:8o"), 400),
    "Host with a port beyond all (RFC 3986, 3.2.3)": refused(hosted(b"x:65536"), 400),
    "Host with a port of 400 digits (h11 issue 181)": refused(hosted(b"x:" + b"9" * 400), 400),
    "Host with two ports (RFC 3986, 3.2.3)": refused(hosted(b"x:1:2"), 400),
    "Host with a bare IPv6 address (RFC 3986, 3.2.2)": refused(hosted(b"::1"), 400),
    "Host with half a bracket (RFC 3986, 3.2.2)": refused(hosted(b"[::1"), 400),
    "Host with brackets around a name (RFC 3986, 3.2.2)": refused(hosted(b"[x]"), 400),
    "Host with an IPv6 address of nine parts (RFC 3986, 3.2.2)": refused(hosted(b"[1:2:3:4:5:6:7:8:9]"), 400),
    "Host with an IPv6 zone (RFC 9110, 4.2)": refused(hosted(b"[fe80::1%25eth0]"), 400),
    "Host that is not ASCII (RFC 9110, 7.2)": refused(hosted("ü.example".encode()), 400),
}  # fmt: skip

talks = Talks(CASES)


@pytest.mark.parametrize("fast_path", FAST_PATH)
@pytest.mark.parametrize("feeding", FEEDINGS)
@pytest.mark.parametrize("name", CASES)
def test_a_field_is_taken_or_refused_as_the_rfc_says(name: str, feeding: Feeding, *, fast_path: bool):
    check(talks.said(feeding, fast_path=fast_path)[name], CASES[name])
