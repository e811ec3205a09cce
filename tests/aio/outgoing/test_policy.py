"""rawbot/aio/outgoing/policy.py: which addresses are public, which URLs are taken, what of them may be told."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawbot.aio.outgoing.policy import Address, OutgoingPolicy, Place, is_public
from rawbot.errors import FetchError

PUBLIC = ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "223.255.255.255"]
PUBLIC_V6 = ["2606:4700:4700::1111", "2001:4860:4860::8888", "2400:3200::1"]

# source: the IANA IPv4 and IPv6 special-purpose address registries; first, last or telling address of each block
LOOPBACK = ["127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"]
PRIVATE = ["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.1", "::ffff:10.0.0.1"]
PRIVATE_V6 = ["fc00::", "fd12:3456::1", "64:ff9b::c0a8:1"]
CLOSED = [
    *("0.0.0.0", "100.64.0.0", "100.100.100.200", "169.254.169.254", "192.0.0.8", "192.0.2.1", "192.88.99.1"),
    *("198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.255", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::7f00:1", "::ffff:169.254.169.254", "::ffff:0:7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1"),
    *("100::1", "2001::1", "2001:1::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1"),
    *("fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1"),
]


NAT64 = IPv6Network("64:ff9b::/96")


@pytest.mark.parametrize("text", [*PUBLIC, *PUBLIC_V6, "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_the_open_internet_is_public(text: str):
    assert is_public(ip_address(text))
    assert OutgoingPolicy().permits(ip_address(text))


@pytest.mark.parametrize("text", [*LOOPBACK, *PRIVATE, *PRIVATE_V6, *CLOSED])
def test_special_addresses_are_not_public_however_they_are_wrapped(text: str):
    assert not is_public(ip_address(text))
    assert not OutgoingPolicy(allow_http=True).permits(ip_address(text))


@pytest.mark.parametrize(
    ("policy", "opened"),
    [
        (OutgoingPolicy(allow_loopback=True), LOOPBACK),
        (OutgoingPolicy(allow_private=True), PRIVATE + PRIVATE_V6),
        (OutgoingPolicy(allow_private=True, allow_loopback=True), LOOPBACK + PRIVATE + PRIVATE_V6),
    ],
)
def test_each_option_opens_what_its_name_says_and_nothing_else(policy: OutgoingPolicy, opened: list[str]):
    tried = [*LOOPBACK, *PRIVATE, *PRIVATE_V6, *CLOSED]
    assert [text for text in tried if policy.permits(ip_address(text))] == opened


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_an_ipv4_address_is_judged_alike_in_all_its_wrappings(address: IPv4Address):
    for prefix in ("::ffff:0:0", "64:ff9b::"):
        wrapped = IPv6Address(int(IPv6Address(prefix)) | int(address))
        assert is_public(wrapped) == is_public(address)


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.integers(0, 2**32 - 1).map(IPv4Address), st.integers(0, 2**128 - 1).map(IPv6Address)))
def test_what_the_standard_library_calls_special_is_never_public(address: Address):
    wrapped = address in NAT64 or (address.version == 6 and address.ipv4_mapped)
    if not wrapped and (address.is_private or address.is_multicast or address.is_reserved or address.is_link_local):
        assert not is_public(address)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://a.example", ("https", "a.example", None, "a.example", b"/")),
        ("HTTPS://A.Example:8443/x", ("https", "a.example", 8443, "a.example:8443", b"/x")),
        ("http://a.example?q=1#part", ("http", "a.example", None, "a.example", b"/?q=1")),
        ("https://[2606:4700::1]:1/", ("https", "2606:4700::1", 1, "[2606:4700::1]:1", b"/")),
        ("https://1.1.1.1/x", ("https", "1.1.1.1", None, "1.1.1.1", b"/x")),
        ("https://例え.example/", ("https", "xn--r8jz45g.example", None, "xn--r8jz45g.example", b"/")),
        ("https://a.example./", ("https", "a.example.", None, "a.example.", b"/")),
    ],
)
def test_a_url_is_taken_apart(url: str, place: tuple[str, str, int | None, str, bytes]):
    assert OutgoingPolicy(allow_http=True).locate(url) == Place(*place, url)


def test_a_signed_target_stays_as_it_was_signed():
    signed = "/a%2fb/%7Ec'(1)*?sign=q%2Ba+b==&x=[1]&y=%e4|^"
    place = OutgoingPolicy().locate("https://a.example" + signed)
    assert place.target == signed.encode()


def test_what_http_cannot_carry_is_percent_encoded():
    place = OutgoingPolicy().locate("https://a.example/报 告?q=é")
    assert place.target == b"/%E6%8A%A5%20%E5%91%8A?q=%C3%A9"


MALFORMED = (
    "/x mailto:a@b.example https:// https:///x https://a.example:port/ https://[::1 https://[x]/ https://a.example\\x/"
)
ODD_HOSTS = (
    "https://a..example/ https://%31.example/ https://[fe80::1%25eth0]/ https://127.0.0.01/ https://127.0.0.1.2/"
)
ODD_NUMBERS = "https://2130706433/ https://0x7f000001/ https://0177.0.0.1/ https://127.1/ https://0x7f.0.0.0x1/"
TOO_LONG = ["https://" + "a" * 64 + ".example/", "https://" + "a" * 64 + "é.example/"]


@pytest.mark.parametrize(
    "url", ["", "https://a b.example/", *f"{MALFORMED} {ODD_HOSTS} {ODD_NUMBERS}".split(), *TOO_LONG]
)
def test_malformed_and_oddly_spelt_hosts_are_refused(url: str):
    with pytest.raises(FetchError, match=r"malformed|does not begin with https"):
        OutgoingPolicy().locate(url)


@pytest.mark.parametrize("url", ["http://a.example/?s=1", "ftp://a.example/?s=1", "//a.example/?s=1"])
def test_https_is_required(url: str):
    with pytest.raises(FetchError, match=r"^a\.example: its URL does not begin with https$"):
        OutgoingPolicy().locate(url)


def test_http_is_an_option():
    policy = OutgoingPolicy(allow_http=True)
    assert policy.locate("http://a.example/x").scheme == "http"
    with pytest.raises(FetchError):
        policy.locate("ftp://a.example/x")


@pytest.mark.parametrize(
    "url", ["https://user:secret@a.example/", "https://good.example@a.example/", "https://@a.example"]
)
def test_credentials_are_refused_and_not_repeated(url: str):
    with pytest.raises(FetchError, match=r"^a\.example: its URL holds credentials$"):
        OutgoingPolicy().locate(url)


@pytest.mark.parametrize(
    ("location", "authority", "target"),
    [
        ("/y", "a.example:1", b"/y"),
        ("y?z", "a.example:1", b"/p/y?z"),
        ("//b.example/y", "b.example", b"/y"),
        ("https://b.example", "b.example", b"/"),
    ],
)
def test_a_redirect_is_relative_to_where_it_came_from(location: str, authority: str, target: bytes):
    place = OutgoingPolicy().locate(location, "https://a.example:1/p/x?s")
    assert (place.authority, place.target) == (authority, target)


def test_a_redirect_that_cannot_be_joined_is_refused():
    with pytest.raises(FetchError):
        OutgoingPolicy().locate("//[x", "https://a.example/")


def test_a_place_shows_its_origin_only():
    assert repr(OutgoingPolicy().locate("https://a.example/path?sign=s")) == "<Place https://a.example>"
