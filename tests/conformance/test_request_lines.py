"""Request lines over real sockets: RFC 9112, sections 2 and 3, and RFC 9110 on methods, targets and versions."""

import pytest
from conformance_case import FAST_PATH, FEEDINGS, GOT, HOST, Feeding, Said, Talks, answered, check, get, refused

CASES = {
    # 2.1 and 2.2: lines
    "a GET (RFC 9112, 2.1)": answered(get(), GOT),
    "one empty line before the request (RFC 9112, 2.2)": answered(b"\r\n" + get(), GOT),
    "three empty lines before the request (RFC 9112, 2.2)": answered(b"\r\n\r\n\r\n" + get(), GOT),
    "empty lines between requests (RFC 9112, 2.2)": answered(get() + b"\r\n\r\n" + get(), GOT, GOT),
    "empty lines and nothing else (RFC 9112, 2.2)": answered(b"\r\n\r\n"),
    "a flood of empty lines (RFC 9112, 2.2)": refused(b"\r\n" * 300, 431),
    "a bare LF before the request (CVE-2019-16785)": refused(b"\n" + get(), 400),
    "a bare CR before the request (RFC 9112, 2.2)": refused(b"\r" + get(), 400),
    "a bare LF behind the request line (CVE-2019-16785)": refused(b"GET /a HTTP/1.1\n" + HOST + b"\r\n", 400),
    "bare LFs everywhere (RFC 9112, 2.2)": refused(get().replace(b"\r\n", b"\n"), 400),
    "a bare CR behind the request line (CVE-2023-30589)": refused(b"GET /a HTTP/1.1\r" + HOST + b"\r\n", 400),
    "bare CRs everywhere (CVE-2023-37276)": refused(get().replace(b"\r\n", b"\r"), 400),
    "a blank before the request line (RFC 9112, 2.2)": refused(b" " + get(), 400),
    "a NUL before the request line (RFC 9112, 2.2)": refused(b"\x00" + get(), 400),
    # 3: the request line
    "two blanks behind the method (RFC 9112, 3)": refused(get(line=b"GET  /a HTTP/1.1"), 400),
    "two blanks before the version (RFC 9112, 3)": refused(get(line=b"GET /a  HTTP/1.1"), 400),
    "a tab behind the method (RFC 9112, 3)": refused(get(line=b"GET\t/a HTTP/1.1"), 400),
    "a tab before the version (RFC 9112, 3)": refused(get(line=b"GET /a\tHTTP/1.1"), 400),
    "a form feed between the parts (RFC 9112, 3)": refused(get(line=b"GET\x0c/a HTTP/1.1"), 400),
    "a blank behind the version (RFC 9112, 3)": refused(get(line=b"GET /a HTTP/1.1 "), 400),
    "no target (RFC 9112, 3)": refused(get(line=b"GET HTTP/1.1"), 400),
    "an empty target (RFC 9112, 3)": refused(get(line=b"GET  HTTP/1.1"), 400),
    "no method (RFC 9112, 3)": refused(get(line=b"/a HTTP/1.1"), 400),
    "HTTP/0.9 (RFC 9112, appendix C.1)": refused(b"GET /a\r\n", 400),
    "four parts (RFC 9112, 3)": refused(get(line=b"GET /a b HTTP/1.1"), 400),
    # 3.1: the method
    "a method in lower case is another one (RFC 9110, 9.1)": refused(get(line=b"get /a HTTP/1.1"), 501),
    "a method that nobody registered (RFC 9110, 9.1)": refused(get(line=b"FETCH /a HTTP/1.1"), 501),
    "a method that is long beyond all that are known (RFC 9112, 3)": refused(
        get(line=b"G" * 500 + b" /a HTTP/1.1"), 501
    ),
    "a method with a character of no token (RFC 9110, 5.6.2)": refused(get(line=b"GE@T /a HTTP/1.1"), 400),
    "a method in brackets (RFC 9112, 3.1)": refused(get(line=b"(GET) /a HTTP/1.1"), 400),
    "a method with a NUL (CVE-2023-47627)": refused(get(line=b"GE\x00T /a HTTP/1.1"), 400),
    "a method that the path does not take (RFC 9110, 15.5.6)": answered(get(line=b"TRACE /a HTTP/1.1"), Said(405)),
    "a method of WebDAV (RFC 4918, 9.1)": answered(get(line=b"PROPFIND /a HTTP/1.1"), b"PROPFIND /a "),
    "the method QUERY (IANA method registry)": answered(get(line=b"QUERY /a?q HTTP/1.1"), b"QUERY /a?q "),
    # 3.2: the target
    "a query (RFC 9112, 3.2.1)": answered(get(line=b"GET /a?%3F=?&b HTTP/1.1"), b"GET /a?%3F=?&b "),
    "a path is not normalised (RFC 9112, 3.2.1)": answered(get(line=b"GET /%61//../ HTTP/1.1"), b"GET /%61//../ "),
    "a path of two slashes (RFC 9112, 3.2.1)": answered(get(line=b"GET // HTTP/1.1"), b"GET // "),
    "a target without its slash (RFC 9112, 3.2.1)": refused(get(line=b"GET a HTTP/1.1"), 400),
    "a query alone (RFC 9112, 3.2.1)": refused(get(line=b"GET ?a HTTP/1.1"), 400),
    "a fragment (RFC 9112, 3.2)": refused(get(line=b"GET /a#b HTTP/1.1"), 400),
    "a target that is not ASCII (RFC 9112, 3.2)": refused(get(line="GET /é HTTP/1.1".encode()), 400),
    "a NUL in the target (RFC 9112, 3.2)": refused(get(line=b"GET /a\x00b HTTP/1.1"), 400),
    "an escape sequence in the target (CVE-2020-7694)": refused(get(line=b"GET /\x1b[31m HTTP/1.1"), 400),
    "a DEL in the target (RFC 9112, 3.2)": refused(get(line=b"GET /a\x7f HTTP/1.1"), 400),
    "absolute-form (RFC 9112, 3.2.2)": answered(get(line=b"GET http://x/a?b=c HTTP/1.1"), GOT),
    "absolute-form with a port (RFC 9112, 3.2.2)": answered(get(line=b"GET http://x:80/a?b=c HTTP/1.1"), GOT),
    "absolute-form in capitals (RFC 9110, 4.2.3)": answered(get(line=b"GET HTTP://X/a?b=c HTTP/1.1"), GOT),
    "absolute-form of https (RFC 9112, 3.2.2)": answered(get(line=b"GET https://x/a?b=c HTTP/1.1"), GOT),
    "absolute-form without a path (RFC 9112, 3.2.2)": answered(get(line=b"GET http://x?q HTTP/1.1"), b"GET /?q "),
    "absolute-form with another Host (RFC 9112, 3.2.2)": answered(get(line=b"GET http://y/a?b=c HTTP/1.1"), GOT),
    "absolute-form of an IPv6 address (RFC 3986, 3.2.2)": answered(get(line=b"GET http://[::1]:8/a?b=c HTTP/1.1"), GOT),
    "absolute-form without Host (RFC 9112, 3.2)": refused(get(line=b"GET http://x/a HTTP/1.1", host=b""), 400),
    "absolute-form with a user name (RFC 9110, 4.2.4)": refused(get(line=b"GET http://u:p@x/a HTTP/1.1"), 400),
    "absolute-form without a host (RFC 9110, 4.2.1)": refused(get(line=b"GET http:///a HTTP/1.1"), 400),
    "absolute-form with a port that is none (RFC 3986, 3.2.3)": refused(get(line=b"GET http://x:a/ HTTP/1.1"), 400),
    "absolute-form of another scheme (RFC 9110, 7.4)": refused(get(line=b"GET ftp://x/a HTTP/1.1"), 421),
    "a URI without an authority (RFC 9112, 3.2.2)": refused(get(line=b"GET http:/a HTTP/1.1"), 400),
    "asterisk-form (RFC 9112, 3.2.4)": answered(get(line=b"OPTIONS * HTTP/1.1"), Said(204)),
    "asterisk-form for another method (RFC 9112, 3.2.4)": refused(get(line=b"GET * HTTP/1.1"), 400),
    "asterisk-form with a query (RFC 9112, 3.2.4)": refused(get(line=b"OPTIONS *?a HTTP/1.1"), 400),
    "authority-form (RFC 9112, 3.2.3)": refused(get(line=b"CONNECT x:443 HTTP/1.1"), 501),
    "authority-form for another method (RFC 9112, 3.2.3)": refused(get(line=b"GET x:443 HTTP/1.1"), 400),
    "CONNECT without a port (RFC 9110, 9.3.6)": refused(get(line=b"CONNECT x HTTP/1.1"), 400),
    "CONNECT with an empty port (RFC 9110, 9.3.6)": refused(get(line=b"CONNECT x: HTTP/1.1"), 400),
    "CONNECT with a port beyond all (RFC 9110, 9.3.6)": refused(get(line=b"CONNECT x:65536 HTTP/1.1"), 400),
    "CONNECT with a path (RFC 9112, 3.2.3)": refused(get(line=b"CONNECT /a HTTP/1.1"), 400),
    "CONNECT with a URI (RFC 9112, 3.2.3)": refused(get(line=b"CONNECT http://x:1/ HTTP/1.1"), 400),
    # 2.3: the version
    "HTTP/1.2 is HTTP/1.1 to us (RFC 9110, 2.5)": answered(get(line=b"GET /a?b=c HTTP/1.2"), GOT),
    "HTTP/1.9 is HTTP/1.1 to us (RFC 9110, 2.5)": answered(get(line=b"GET /a?b=c HTTP/1.9"), GOT),
    "HTTP/2.0 (RFC 9110, 15.6.6)": refused(get(line=b"GET /a HTTP/2.0"), 505),
    "HTTP/3.0 (RFC 9110, 15.6.6)": refused(get(line=b"GET /a HTTP/3.0"), 505),
    "HTTP/0.9 by name (RFC 9110, 15.6.6)": refused(get(line=b"GET /a HTTP/0.9"), 505),
    "HTTP/9.9 (RFC 9110, 15.6.6)": refused(get(line=b"GET /a HTTP/9.9"), 505),
    "a version in lower case (RFC 9112, 2.3)": refused(get(line=b"GET /a http/1.1"), 400),
    "a version of one digit (RFC 9112, 2.3)": refused(get(line=b"GET /a HTTP/1"), 400),
    "a version of three digits (RFC 9112, 2.3)": refused(get(line=b"GET /a HTTP/1.10"), 400),
    "a version with a comma (RFC 9112, 2.3)": refused(get(line=b"GET /a HTTP/1,1"), 400),
    "a version of other digits (CVE-2025-69224)": refused(get(line="GET /a HTTP/1.١".encode()), 400),
    "another protocol (RFC 9112, 2.3)": refused(get(line=b"GET /a ICE/1.1"), 400),
}  # fmt: skip

talks = Talks(CASES)


@pytest.mark.parametrize("fast_path", FAST_PATH)
@pytest.mark.parametrize("feeding", FEEDINGS)
@pytest.mark.parametrize("name", CASES)
def test_a_request_line_is_answered_as_the_rfc_says(name: str, feeding: Feeding, *, fast_path: bool):
    check(talks.said(feeding, fast_path=fast_path)[name], CASES[name])
