"""rawbot/http/peers/forwarded.py: whom the walk from the right ends at, and that nobody else can be made to appear."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawbot.http.peers import forwarded
from rawbot.http.peers.forwarded import MAX_HOPS, MAX_SIZE, find_client
from rawbot.http.peers.trust import TrustedPeers, read_address, read_trusted_peers

PROXY = "10.0.0.1"
PROXIES = read_trusted_peers("10.0.0.0/8")
CLIENT = "203.0.113.9"


def fields(name: str, *values: str) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for value in values]


def client_of(headers: list[tuple[bytes, bytes]], *, trusted: TrustedPeers = PROXIES) -> str:
    return find_client(headers, PROXY, "http", trusted)[0]


def by_list(*values: str, trusted: TrustedPeers = PROXIES) -> str:
    return client_of(fields("x-forwarded-for", *values), trusted=trusted)


def by_forwarded(*values: str, trusted: TrustedPeers = PROXIES) -> tuple[str, str]:
    return find_client(fields("forwarded", *values), PROXY, "http", trusted)


# Whom to believe


@pytest.mark.parametrize(
    "headers",
    [
        fields("x-forwarded-for", CLIENT) + fields("x-forwarded-proto", "https"),
        fields("forwarded", f"for={CLIENT};proto=https"),
    ],
)
def test_only_a_trusted_peer_is_believed(headers: list[tuple[bytes, bytes]]):
    assert find_client(headers, PROXY, "http", PROXIES) == (CLIENT, "https")
    assert find_client(headers, "192.0.2.1", "http", PROXIES) == ("192.0.2.1", "http")
    assert find_client(headers, PROXY, "http", TrustedPeers()) == (PROXY, "http")
    assert find_client(headers, "", "http", PROXIES) == ("", "http")


def test_a_proxy_on_a_unix_socket_is_believed_when_the_list_says_so():
    assert find_client(fields("x-forwarded-for", CLIENT), "", "http", read_trusted_peers("unix")) == (CLIENT, "http")


def test_without_any_field_all_stays():
    assert find_client([(b"host", b"x")], PROXY, "https", PROXIES) == (PROXY, "https")


# X-Forwarded-For


@pytest.mark.parametrize(
    ("values", "client"),
    [
        ((CLIENT,), CLIENT),
        ((f"{CLIENT}, 10.0.0.7",), CLIENT),  # two proxies of ours
        ((f"192.0.2.66, {CLIENT}, 10.0.0.7",), CLIENT),  # what stands left of the client is the client's own invention
        ((f"10.0.0.9, {CLIENT}",), CLIENT),  # even when it claims to be a proxy of ours
        (("192.0.2.66", CLIENT), CLIENT),  # lines are one list: RFC 9110, section 5.3
        ((CLIENT, "10.0.0.7"), CLIENT),
        (("10.0.0.9, 10.0.0.7",), "10.0.0.9"),  # all are trusted: the first of them asked
        ((f" {CLIENT}\t,,10.0.0.7, ",), CLIENT),  # RFC 9110, section 5.6.1: empty elements do not count
        (("2001:DB8::9",), "2001:db8::9"),
        (("[2001:db8::9]",), "2001:db8::9"),
        (("[2001:db8::9]:4711",), "2001:db8::9"),
        ((f"{CLIENT}:4711",), CLIENT),  # as some load balancers write it
        ((f"::ffff:{CLIENT}, ::ffff:10.0.0.7",), CLIENT),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_not_trusted(values: tuple[str, ...], client: str):
    assert by_list(*values) == client


@pytest.mark.parametrize(
    "element",
    ["unknown", "x", "203.0.113", "203.0.113.009", "203.0.113.9:", "203.0.113.9:123456", "203.0.113.9 1",
     '"203.0.113.9"', "for=203.0.113.9", "[2001:db8::9", "2001:db8::9]", "[]", "[]:1", "\xb2", "203.0.113.9:http"],
)  # fmt: skip
def test_what_is_no_address_ends_the_walk_one_step_before(element: str):
    assert by_list(element) == PROXY
    assert by_list(f"{element}, 10.0.0.7") == "10.0.0.7"
    assert by_list(f"{CLIENT}, {element}, 10.0.0.7") == "10.0.0.7"


@pytest.mark.parametrize("junk", ["unknown", '"', ",,,", "x" * 10_000, "10.0.0.9," * 2000, "[", "\x80"])
def test_junk_of_the_client_does_not_hide_it(junk: str):
    assert by_list(f"{junk}, {CLIENT}, 10.0.0.7") == CLIENT
    assert by_list(junk, CLIENT) == CLIENT


def test_when_everybody_is_trusted_the_first_one_is_the_client():
    assert by_list("192.0.2.66, 203.0.113.9, 10.0.0.7", trusted=read_trusted_peers("*")) == "192.0.2.66"


# X-Forwarded-Proto


@pytest.mark.parametrize(
    ("addresses", "schemes", "scheme"),
    [
        (CLIENT, ["https"], "https"),
        (CLIENT, ["HTTPS "], "https"),
        (CLIENT, ["https, http"], "http"),  # the proxy has appended what it saw to what the client says
        (CLIENT, ["https", "http"], "http"),
        (f"{CLIENT}, 10.0.0.7", ["https, http"], "https"),  # each of two proxies has appended what it saw
        (f"{CLIENT}, 10.0.0.7", ["https"], "https"),  # one for all
        (f"{CLIENT}, 10.0.0.7", ["http, https, http"], "https"),
        ("", ["https"], "https"),
        ("", ["http, https"], "https"),
        (CLIENT, [""], "http"),
        (CLIENT, ["wss"], "http"),
        (CLIENT, ["javascript"], "http"),
        (CLIENT, ["https;"], "http"),
        ("unknown", ["https"], "https"),
    ],
)
def test_the_scheme_is_the_one_told_of_the_same_step(addresses: str, schemes: list[str], scheme: str):
    headers = fields("x-forwarded-for", addresses) if addresses else []
    assert find_client(headers + fields("x-forwarded-proto", *schemes), PROXY, "http", PROXIES)[1] == scheme


def test_an_unknown_scheme_leaves_that_of_the_connection():
    assert find_client(fields("x-forwarded-proto", "gopher"), PROXY, "https", PROXIES) == (PROXY, "https")
    assert find_client(fields("x-forwarded-proto", "http"), PROXY, "https", PROXIES) == (PROXY, "http")


# Forwarded


@pytest.mark.parametrize(
    ("values", "found"),
    [
        # RFC 7239, section 4, with its own addresses
        (('for="_gazonk"',), (PROXY, "http")),
        (('For="[2001:db8:cafe::17]:4711"',), ("2001:db8:cafe::17", "http")),
        (("for=192.0.2.60;proto=http;by=203.0.113.43",), ("192.0.2.60", "http")),
        (("for=192.0.2.43, for=198.51.100.17",), ("198.51.100.17", "http")),
        # section 6.3, 7.1 and 7.4
        (("for=_hidden, for=_SEVKISEK",), (PROXY, "http")),
        (("for=192.0.2.43",), ("192.0.2.43", "http")),
        (('for=192.0.2.43, for="[2001:db8:cafe::17]"',), ("2001:db8:cafe::17", "http")),
        (("for=192.0.2.43, for=198.51.100.17;by=203.0.113.60;proto=http;host=example.com",), ("198.51.100.17", "http")),
        (("for=unknown",), (PROXY, "http")),
        (('for="192.0.2.43:47011"',), ("192.0.2.43", "http")),
        (('for="192.0.2.43:_port"',), ("192.0.2.43", "http")),
        # the walk
        ((f"for={CLIENT};proto=https, for=10.0.0.7",), (CLIENT, "https")),
        ((f"for={CLIENT};proto=https, for=10.0.0.7;proto=http",), (CLIENT, "https")),
        ((f"for={CLIENT}, for=10.0.0.7;proto=https",), (CLIENT, "https")),
        ((f"for=192.0.2.66;proto=https, for={CLIENT}", "for=10.0.0.7"), (CLIENT, "http")),
        (("for=unknown;proto=https, for=10.0.0.7",), ("10.0.0.7", "https")),
        (("for=_hidden, for=10.0.0.7",), ("10.0.0.7", "http")),
        (("proto=https",), (PROXY, "https")),
        # spelling
        ((f"FOR={CLIENT};PROTO=HTTPS",), (CLIENT, "https")),
        ((f'for="{CLIENT}";proto="https"',), (CLIENT, "https")),
        ((f"for={CLIENT}; proto=https",), (CLIENT, "https")),
        ((f";for={CLIENT};;proto=https;",), (CLIENT, "https")),
        ((f" ,for={CLIENT}\t, ,",), (CLIENT, "http")),
        (("for=[2001:db8::9]:4711",), ("2001:db8::9", "http")),  # unquoted, which is wrong but clear
        ((f"for={CLIENT}:4711",), (CLIENT, "http")),
        ((f'for={CLIENT};secret="a, for=10.9.9.9; \\"b\\\\"',), (CLIENT, "http")),
        ((f'secret="\\"";for={CLIENT}',), (CLIENT, "http")),
        ((f'secret="";for={CLIENT}',), (CLIENT, "http")),
    ],
)
def test_forwarded_is_read_as_rfc_7239_has_it(values: tuple[str, ...], found: tuple[str, str]):
    assert by_forwarded(*values) == found


@pytest.mark.parametrize(
    "element",
    ["for", "=", "for=", f"for ={CLIENT}", f"for= {CLIENT}", f"for={CLIENT} proto=https", f'for="{CLIENT}',
     f'for={CLIENT}"',
     f"for={CLIENT};for={CLIENT}", f"for={CLIENT};FOR=10.0.0.9", f'for="{CLIENT}"x', f'"for={CLIENT}"',
     "for=2001:db8::9", 'for="2001:db8::9"', "for=::1", f"fo\xf6={CLIENT}", f"for={CLIENT}:123456", CLIENT],
)  # fmt: skip
def test_a_malformed_element_ends_the_walk_one_step_before(element: str):
    assert by_forwarded(element) == (PROXY, "http")
    assert by_forwarded(f"for={CLIENT};proto=https, {element}, for=10.0.0.7")[0] == "10.0.0.7"


@pytest.mark.parametrize(
    "junk",
    ['for="', 'for="192.0.2.66', "\\", 'for="\\', '"', "for=192.0.2.66;", 'x="\\"', '="', 'a="b" c="', "for=_x", "\xff",
     'for="' + "x" * 10_000, '"=' * 5000, "for=10.0.0.9," * 2000],
)  # fmt: skip
@pytest.mark.parametrize("ours", [f"for={CLIENT}", f'for="{CLIENT}:80"', f'by="_x\\"";for="{CLIENT}"'])
def test_a_client_cannot_swallow_what_the_proxy_appends(junk: str, ours: str):
    """Read from the left, a quotation that is never closed would take the proxy's element for its text."""
    assert by_forwarded(f"{junk}, {ours}") == (CLIENT, "http")
    assert by_forwarded(f"{junk}, {ours}, for=10.0.0.7") == (CLIENT, "http")
    assert by_forwarded(junk, ours) == (CLIENT, "http")


# Both


def test_x_forwarded_fields_stand_above_forwarded_since_most_proxies_pass_that_on_untouched():
    made_up = fields("forwarded", "for=192.0.2.66;proto=https")
    assert find_client(made_up + fields("x-forwarded-for", CLIENT), PROXY, "http", PROXIES) == (CLIENT, "http")
    assert find_client(fields("x-forwarded-proto", "http") + made_up, PROXY, "http", PROXIES) == (PROXY, "http")


# Bounds


def test_no_more_elements_are_looked_at_than_a_chain_of_proxies_can_have():
    chain = [f"10.0.1.{n}" for n in range(MAX_HOPS + 1)]
    assert by_list(", ".join(chain[1:])) == "10.0.1.1"
    assert by_list(", ".join(chain)) == "10.0.1.1"
    assert by_list(", ".join([CLIENT, *chain[2:]])) == CLIENT
    assert by_list(", ".join([CLIENT, *chain[1:]])) == "10.0.1.1"
    assert by_forwarded(", ".join(f"for={hop}" for hop in chain))[0] == "10.0.1.1"


@pytest.mark.parametrize("size", [MAX_SIZE - 1, MAX_SIZE, MAX_SIZE + 1])
def test_what_lies_beyond_the_limit_is_not_taken_for_an_element(size: int):
    inside = ", 10.0.0.7"
    text = CLIENT + " " * (size - len(CLIENT) - len(inside)) + inside
    assert by_list(text) == (CLIENT if size <= MAX_SIZE else "10.0.0.7")


@pytest.mark.parametrize("name", ["x-forwarded-for", "x-forwarded-proto", "forwarded"])
@pytest.mark.parametrize(
    "piece",
    [",", ";", '"', '="', '"=', '\\"', "\\", "a=", 'a="', 'a="\\"', " ", "\t", "10.0.0.1,", "for=10.0.0.1,", "[", ":"],
)
def test_the_work_grows_no_faster_than_the_field(monkeypatch: pytest.MonkeyPatch, name: str, piece: str):
    """Quoted parameters that cost the square of their length: tornado, CVE-2025-67726."""
    monkeypatch.setattr(forwarded, "MAX_SIZE", 10**6)
    monkeypatch.setattr(forwarded, "MAX_HOPS", 10**6)
    headers = fields(name, piece * 20_000)
    started = time.process_time()
    find_client(headers, PROXY, "http", PROXIES)
    assert time.process_time() - started < 5  # 0.4 at most; its square would be hours


ELEMENTS = st.sampled_from(
    [
        "for=",
        "proto=",
        "by=",
        "https",
        "http",
        CLIENT,
        "10.0.0.7",
        '"',
        "\\",
        ",",
        ";",
        "=",
        " ",
        "[2001:db8::9]",
        ":80",
        "_x",
    ]
)


@settings(deadline=None)
@given(st.lists(ELEMENTS, max_size=30).map("".join), st.sampled_from(["x-forwarded-for", "forwarded"]))
def test_whatever_is_sent_an_address_and_a_scheme_come_out(text: str, name: str):
    client, scheme = find_client(fields(name, text), PROXY, "http", PROXIES)
    assert read_address(client) is not None
    assert scheme in ("http", "https")


@settings(deadline=None)
@given(st.text(st.characters(codec="latin-1"), max_size=60))
def test_nobody_can_hide_behind_what_he_sends(text: str):
    assert by_list(f"{text}, {CLIENT}") == CLIENT
    assert by_forwarded(f"{text}, for={CLIENT};proto=https") == (CLIENT, "https")
    assert by_forwarded(f'{text}, for="{CLIENT}:1";proto=https, for=10.0.0.7') == (CLIENT, "https")
