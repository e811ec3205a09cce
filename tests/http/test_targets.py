"""rawbot/http/targets.py: RFC 9112, section 3.2, and RFC 3986, section 3.2."""

import re
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawbot.errors import ProtocolError
from rawbot.http.targets import TARGET, split_authority, split_target

PLAIN = b"abcXYZ019-._~!$&'()*+,;="


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", (b"", None)),
        (b":", (b"", None)),
        (b":80", (b"", 80)),
        (b"Bot.Example.COM", (b"bot.example.com", None)),
        (b"x:", (b"x", None)),
        (b"x:8080", (b"x", 8080)),
        (b"x:0", (b"x", 0)),
        (b"x:65535", (b"x", 65535)),
        (b"x:" + b"0" * 5000 + b"80", (b"x", 80)),
        (PLAIN, (PLAIN.lower(), None)),
        (b"a%e4%B8.b", (b"a%e4%b8.b", None)),
        (b"192.0.2.1:80", (b"192.0.2.1", 80)),
        (b"[::1]", (b"[::1]", None)),
        (b"[2001:DB8::1]:80", (b"[2001:db8::1]", 80)),
        (b"[::ffff:192.0.2.1]", (b"[::ffff:192.0.2.1]", None)),
        (b"[v1f.a:b!]:1", (b"[v1f.a:b!]", 1)),
        (b"[V1.a]", (b"[v1.a]", None)),
    ],
)  # fmt: skip
def test_a_host_is_split_from_its_port(value: bytes, expected: tuple[bytes, int | None]):
    assert split_authority(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        b" x", b"x ", b"x y", b"x/", b"x?", b"x#", b"u@x", b"u:p@x", b"http://x", b"x:a", b"x:-1", b"x:+1", b"x: 1",
        b"x:65536", b"x:" + b"9" * 5000, b"x:1:2", b"::1", b"[::1", b"::1]", b"[]", b"[x]", b"[1]", b"[:::]", b"[::1]x",
        b"[1:2:3:4:5:6:7:8:9]", b"[::12345]", b"[fe80::1%25eth0]", b"[fe80::1%eth0]", b"[::1/64]", b"[192.0.2.1]",
        b"[::256.0.0.1]", b"[v.a]", b"[v1.]", b"[v1]", b"[vg.a]", b"a%", b"a%2", b"a%zz", b'"x"', b"<x>", b"x\\y",
        b"x|y", b"x\x00", b"x\t", "ü".encode(), b"\xff", b"x\n", "x:１".encode(),
    ],
)  # fmt: skip
def test_what_is_no_host_and_port_is_none(value: bytes):
    assert split_authority(value) is None


@given(st.ip_addresses(), st.integers(0, 65535))
def test_every_address_is_a_host(address: IPv4Address | IPv6Address, port: int):
    host = b"[%b]" % str(address).encode() if address.version == 6 else str(address).encode()
    assert split_authority(b"%b:%d" % (host, port)) == (host.lower(), port)


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        (b"GET", b"/", ("/", "", None)),
        (b"GET", b"/a?b=c?d", ("/a", "b=c?d", None)),
        (b"GET", b"//x/a", ("//x/a", "", None)),
        (b"GET", b"/?", ("/", "", None)),
        (b"GET", b"/%61%zz/../|{}", ("/%61%zz/../|{}", "", None)),
        (b"OPTIONS", b"*", ("*", "", None)),
        (b"OPTIONS", b"/a", ("/a", "", None)),
        (b"GET", b"http://x", ("/", "", b"x")),
        (b"GET", b"HTTPS://X:1/a?b", ("/a", "b", b"x")),
        (b"GET", b"http://x?b=/c", ("/", "b=/c", b"x")),
        (b"GET", b"http://x:/a", ("/a", "", b"x")),
        (b"OPTIONS", b"http://x", ("/", "", b"x")),
        (b"GET", b"/http://x/", ("/http://x/", "", None)),
    ],
)  # fmt: skip
def test_a_target_is_split(method: bytes, target: bytes, expected: tuple[str, str, bytes | None]):
    assert split_target(method, target) == expected


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        (b"GET", b"*", 400),
        (b"OPTIONS", b"**", 400),
        (b"OPTIONS", b"*?a", 400),
        (b"GET", b"a", 400),
        (b"GET", b"?a", 400),
        (b"GET", b"x:1", 400),
        (b"GET", b"http:/a", 400),
        (b"GET", b"://x/", 400),
        (b"GET", b"1http://x/", 400),
        (b"GET", b"http:///a", 400),
        (b"GET", b"http://:80/a", 400),
        (b"GET", b"http://u@x/a", 400),
        (b"GET", b"http://x:y/a", 400),
        (b"GET", b"http://[::1/a", 400),
        (b"GET", b"ftp://x/a", 421),
        (b"GET", b"ws://x/a", 421),
        (b"CONNECT", b"x:1", 501),
        (b"CONNECT", b"[::1]:443", 501),
        (b"CONNECT", b"/", 400),
        (b"CONNECT", b"*", 400),
        (b"CONNECT", b"x", 400),
        (b"CONNECT", b"x:", 400),
        (b"CONNECT", b"x:0", 400),
        (b"CONNECT", b":1", 400),
        (b"CONNECT", b"x:65536", 400),
        (b"CONNECT", b"http://x:1/", 400),
    ],
)  # fmt: skip
def test_a_target_that_has_no_form_is_refused(method: bytes, target: bytes, status: int):
    with pytest.raises(ProtocolError) as caught:
        split_target(method, target)
    assert caught.value.status == status


@pytest.mark.parametrize("byte", range(256))
def test_a_target_is_visible_ascii_without_a_fragment(byte: int):
    found = re.fullmatch(TARGET, b"/" + bytes([byte]))
    assert (found is not None) == (0x21 <= byte <= 0x7E and byte != ord("#"))
