"""rawbot/http/access_log.py: lines that other programs can read, and that neither act nor tell a secret."""

import re
from datetime import UTC, datetime
from io import BytesIO

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rawbot.errors import LimitError, ProtocolError
from rawbot.exchange import FileRegion, Request, Response
from rawbot.http.access_log import FORMS, MAX_PARAMETERS, MAX_PATH, redact_query, redact_url

NOW = 1_700_000_000.25
TIME = "[14/Nov/2023:22:13:20 +0000]"
WECOM_QUERY = "msg_signature=477715d11cdb4164915debcba66cb864d751f3e6&timestamp=1409659813&nonce=1372623149"
WECOM = Request("POST", "/callback/command", WECOM_QUERY, [(b"user-agent", b"Mozilla/4.0")], b"{}", peer="192.0.2.1")

APACHE = re.compile(
    r"(?P<host>\S+) (?P<ident>\S+) (?P<user>\S+) \[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000)\] "
    r'"(?P<request>[^"\\]*(?:\\x[0-9a-f]{2}[^"\\]*)*)" (?P<status>\d{3}) (?P<size>\d+|-)'
    r'(?P<more>(?: "[^"\\]*(?:\\x[0-9a-f]{2}[^"\\]*)*"){2})? (?P<micros>\d+|-)\n'
)
"""httpd.apache.org/docs/2.4/logs.html: the common and the combined log format, with %D behind them."""

anything = st.text(max_size=40)
surrogates = st.text(st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF), min_size=1, max_size=3)
text = anything | surrogates | st.text(max_size=5).map(lambda t: t * 2000)
fields = st.lists(st.tuples(st.sampled_from([b"referer", b"user-agent", b"x"]), st.binary(max_size=400)), max_size=4)
requests = st.builds(Request, text, text, text, fields, st.just(b""), text, text, text)
times = st.floats(0, 4e9)
each_style = pytest.mark.parametrize("style", FORMS)


def line(style: str, request: Request = WECOM, response: Response | None = None, took: float = 0.000123) -> str:
    return FORMS[style].answered(request, "/callback/command", response or Response(200, b"x" * 300), took, NOW)


def refusal(style: str, error: ProtocolError, peer: str = "192.0.2.1") -> str:
    return FORMS[style].refused(error, peer, NOW)


# The forms


def test_the_common_form_is_apaches_with_the_microseconds_behind_it():
    query = "msg_signature=-&timestamp=-&nonce=-"
    assert line("common") == f'192.0.2.1 - - {TIME} "POST /callback/command?{query} HTTP/1.1" 200 300 123\n'


def test_the_combined_form_adds_referer_and_user_agent():
    request = Request("GET", "/", "", [(b"referer", b"https://a/b?c=d"), (b"user-agent", b"curl/8.5 (x)")], peer="::1")
    assert (
        line("combined", request) == f'::1 - - {TIME} "GET / HTTP/1.1" 200 300 "https://a/b?c=-" "curl/8.5 (x)" 123\n'
    )


def test_the_json_form_says_the_same_and_more():
    assert orjson.loads(line("json")) == {
        "time": "2023-11-14T22:13:20.250Z",
        "peer": "192.0.2.1",
        "scheme": "http",
        "method": "POST",
        "path": "/callback/command",
        "query": "msg_signature=-&timestamp=-&nonce=-",
        "http_version": "1.1",
        "route": "/callback/command",
        "status": 200,
        "bytes": 300,
        "referer": None,
        "user_agent": "Mozilla/4.0",
        "duration_us": 123,
    }


def test_what_is_not_known_is_a_dash_or_null():
    unix_socket = Request("GET", "/")
    assert line("combined", unix_socket).startswith("- - - [")
    assert line("combined", unix_socket).endswith(' "-" "-" 123\n')
    read = orjson.loads(line("json", unix_socket))
    assert [key for key, value in read.items() if value is None] == ["peer", "query", "referer", "user_agent"]


@each_style
def test_the_duration_is_the_last_field(style: str):
    assert re.search(r"[ :]123\}?\n$", line(style))
    assert re.search(r"[ :]0\}?\n$", line(style, took=-0.5)), "a clock that was set back"
    assert re.search(r"[ :]75000000\}?\n$", line(style, took=75.0))


@pytest.mark.parametrize(
    ("request_", "response", "size"),
    [
        (Request("GET", "/"), Response(200, b"abc"), 3),
        (Request("HEAD", "/"), Response(200, b"abc"), 0),
        (Request("GET", "/"), Response(304, b"abc"), 0),
        (Request("GET", "/"), Response(200, region=FileRegion(BytesIO(), 10, 7)), 7),
    ],
    ids=["a body", "the answer to HEAD", "a status without content", "a file"],
)
def test_the_size_is_that_of_the_body_that_goes_out(request_: Request, response: Response, size: int):
    assert orjson.loads(line("json", request_, response))["bytes"] == size
    assert f'" {response.status} {size or "-"} 123' in line("common", request_, response)


@given(times, st.sampled_from(sorted(FORMS)))
@example(1_709_164_799.9999, "json")  # the last moment of 28 February in a leap year
def test_times_are_utc_in_apaches_form_and_that_of_rfc_3339(now: float, style: str):
    written = FORMS[style].answered(WECOM, "/", Response(200), 0.0, now)
    if style == "json":
        read = datetime.fromisoformat(orjson.loads(written)["time"])
        assert 0 <= now - read.timestamp() < 0.0011
    else:
        found = APACHE.fullmatch(written)
        assert datetime.strptime(found["time"], "%d/%b/%Y:%H:%M:%S %z") == datetime.fromtimestamp(int(now), UTC)


@pytest.mark.parametrize("error", [LimitError("the head is too long", status=431), ProtocolError("bad")], ids=str)
def test_of_a_refused_request_the_peer_and_the_status_are_known(error: ProtocolError):
    assert refusal("common", error) == f'192.0.2.1 - - {TIME} "-" {error.status} - -\n'
    assert refusal("combined", error) == f'192.0.2.1 - - {TIME} "-" {error.status} - "-" "-" -\n'
    read = orjson.loads(refusal("json", error))
    known = {"time": "2023-11-14T22:13:20.250Z", "peer": "192.0.2.1", "status": error.status, "error": str(error)}
    assert {key: value for key, value in read.items() if value is not None} == known
    assert set(orjson.loads(line("json"))) == set(read) - {"error"}


# No byte of it can act


@given(requests, st.sampled_from(sorted(FORMS)), text)
@example(Request("GET", "/\x1b]2;owned\x07\r\n\x7f\x9b"), "json", "")  # CVE-2020-7694: a terminal's escapes in the path
@example(Request("GET", '/" 200 1 1\n10.0.0.1 - - "'), "combined", "")  # a second line, forged
def test_a_line_is_printable_ascii_and_one_line_feed(request: Request, style: str, route: str):
    written = FORMS[style].answered(request, route, Response(200), 0.1, NOW)
    assert written.endswith("\n")
    assert written[:-1].isascii()
    assert written[:-1].isprintable()
    if style == "json":
        assert orjson.loads(written)["status"] == 200
    else:
        assert APACHE.fullmatch(written)["request"].count(" ") == 2, "method, target and version"


@given(text, text, st.sampled_from(sorted(FORMS)))
def test_so_is_that_of_a_refusal(reason: str, peer: str, style: str):
    written = refusal(style, ProtocolError(reason), peer)
    assert written.endswith("\n")
    assert written[:-1].isascii()
    assert written[:-1].isprintable()
    assert orjson.loads(written)["status"] == 400 if style == "json" else APACHE.fullmatch(written)


@given(st.text(max_size=200))
def test_json_gives_back_what_was_put_in(value: str):
    request = Request(value, value, "", [(b"user-agent", value.encode())], peer=value)
    read = orjson.loads(FORMS["json"].answered(request, value, Response(200), 0.1, NOW))
    assert {read[key] or "" for key in ("method", "path", "peer", "route", "user_agent")} == {value}


def test_other_bytes_are_written_as_their_numbers():
    request = Request("GET", '/a"b\\c\x1b\x7f机', "", [(b"user-agent", "机 \x00".encode() + b"\xff")], peer="a b")
    written = line("combined", request)
    assert r'"GET /a\x22b\x5cc\x1b\x7f\xe6\x9c\xba HTTP/1.1"' in written
    assert r'"\xe6\x9c\xba \x00\xef\xbf\xbd"' in written, "what is no UTF-8 is U+FFFD"
    assert written.startswith(r"a\x20b - - [")


# Its length is bounded


@each_style
def test_a_path_is_cut_at_its_limit(style: str):
    assert "/" + "a" * (MAX_PATH - 1) in line(style, Request("GET", "/" + "a" * (MAX_PATH - 1)))
    assert "..." not in line(style, Request("GET", "/" + "a" * (MAX_PATH - 1)))
    cut = line(style, Request("GET", "/" + "a" * MAX_PATH))
    assert "/" + "a" * (MAX_PATH - 1) + "..." in cut


@each_style
@pytest.mark.parametrize("fill", ["a", "\x00", "机", "😀", "a=b&", '"'])
def test_the_longest_line_has_a_bound(style: str, fill: str):
    huge = fill * 20_000
    header = huge.encode()
    request = Request(huge, huge, huge, [(b"referer", header), (b"user-agent", header)], b"", huge, huge, huge)
    assert len(FORMS[style].answered(request, huge, Response(200), 0.1, NOW)) < 48 * 1024
    assert len(refusal(style, ProtocolError(huge), huge)) < 48 * 1024


# No secret of it is told


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        (WECOM_QUERY + "&echostr=abc%3D%3D", "msg_signature=-&timestamp=-&nonce=-&echostr=-"),
        ("a=1&b=", "a=-&-"),
        ("secret", "-"),
        ("c2VjcmV0=", "-"),  # Base64 with its padding
        ("c2VjcmV0==", "-"),
        ("a==b", "a=-"),
        ("a=b=c", "a=-"),
        ("token%3Dsecret=1", "-"),
        ("secret;a=1", "-"),
        ("a=1;token=secret", "a=-"),
        ("=secret", "-"),
        ("&&a=1", "-&-&a=-"),
        ("a?b=1", "-"),
        ("机=1", "-"),
        ("a" * 32 + "=1&" + "a" * 33 + "=1", "a" * 32 + "=-&-"),
        ("access_token=s\x1b[0m", "access_token=-"),
    ],
)
def test_of_a_query_only_names_are_shown(query: str, shown: str):
    assert redact_query(query) == shown


def test_of_very_many_parameters_the_first_are_shown():
    assert redact_query("&".join(["a=1"] * MAX_PARAMETERS)) == "&".join(["a=-"] * MAX_PARAMETERS)
    assert redact_query("&".join(["a=1"] * 10_000)) == "&".join(["a=-"] * MAX_PARAMETERS) + "&..."


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/b?token=secret", "https://a.example/b?token=-"),
        ("https://a.example/b#access_token=secret", "https://a.example/b"),
        ("https://a.example/b?c=d#access_token=secret", "https://a.example/b?c=-"),
        ("https://a.example/b#c?secret=1", "https://a.example/b"),
        ("https://user:secret@a.example/b?c=d", "-?c=-"),
        ("https://user:sec/ret@a.example/", "-"),
        ("https://a.example/?", "https://a.example/?-"),
        ("about:blank", "about:blank"),
    ],
)
def test_a_referer_shows_neither_query_nor_fragment_nor_password(url: str, shown: str):
    assert redact_url(url) == shown


@given(
    st.lists(st.sampled_from(["msg_signature", "token", "key", "a.b", "x-y"]), max_size=6),
    st.text("GHJKLM0123456789+/%.-_~", min_size=1, max_size=30).map(lambda secret: f"QZ{secret}"),
    st.sampled_from(sorted(FORMS)),
)
def test_no_value_of_a_query_is_ever_in_a_line(names: list[str], secret: str, style: str):
    query = "&".join([*(f"{name}={secret}" for name in names), secret])
    headers = [(b"referer", f"https://a/?{query}#{secret}".encode()), (b"authorization", secret.encode())]
    request = Request("GET", "/", query, [*headers, (b"cookie", secret.encode())], secret.encode())
    assert "QZ" not in line(style, request, Response(200, secret.encode(), headers=[(b"set-cookie", secret.encode())]))
