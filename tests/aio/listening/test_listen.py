"""rawbot/aio/listening/listen.py: one place each, and what cannot work is refused before anything is opened."""

from dataclasses import FrozenInstanceError, replace

import pytest

from rawbot.aio.listening.listen import Listen, Origin, find_clash, make_origin, peer_of, write_address
from rawbot.aio.listening.tls import TLS
from rawbot.errors import ConfigError
from rawbot.http.peers.trust import read_trusted_peers


class FakeSocket:
    def fileno(self) -> int:
        return 7


def test_the_defaults_are_what_the_documentation_says():
    listen = Listen()
    assert (listen.host, listen.port, listen.backlog) == ("127.0.0.1", 8080, 2048)
    assert (listen.tls, listen.proxy_protocol, listen.reuse_port, listen.systemd) == (None, False, False, False)
    assert listen.max_handshakes == 1024
    assert listen.proxy_header_timeout == 5.0
    assert not listen.trusted, "nobody is believed unless the operator says so"


def test_it_is_a_value():
    assert Listen(uds="/run/bot.sock", uds_mode=0o660) == Listen(uds="/run/bot.sock", uds_mode=0o660)
    assert Listen(port=1) != Listen(port=2)
    with pytest.raises(FrozenInstanceError):
        Listen().port = 1


@pytest.mark.parametrize(
    ("listen", "hosts"),
    [
        (Listen(), ("127.0.0.1",)),
        (Listen(host="::"), ("::",)),
        (Listen(host=["::1", "127.0.0.1"]), ("::1", "127.0.0.1")),
        (Listen(host=None), ("0.0.0.0", "::")),
        (Listen(uds="x"), ()),
        (Listen(fd=0), ()),
        (Listen(sock=FakeSocket()), ()),
        (Listen(systemd=True), ()),
    ],
)
def test_only_a_host_and_a_port_have_hosts(listen: Listen, hosts: tuple[str, ...]):
    assert listen.hosts == hosts


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        # one place
        ({"uds": "x", "fd": 3}, "one listen is one place, not uds and fd"),
        ({"fd": 0, "systemd": True}, "not fd and systemd"),
        ({"sock": FakeSocket(), "fd": 0}, "not fd and sock"),
        ({"uds": "x", "port": 80}, "not uds and host and port"),
        ({"systemd": True, "host": None}, "not systemd and host and port"),
        ({"uds": "x", "fd": 3, "sock": FakeSocket(), "systemd": True}, "not uds and fd and sock and systemd"),
        # TCP
        ({"host": ""}, "empty name"),
        ({"host": ["127.0.0.1", ""]}, "empty name"),
        ({"host": []}, "listen.host is empty"),
        ({"port": -1}, r"cannot listen on 127\.0\.0\.1:-1: ports are 0 to 65535"),
        ({"port": 65_536}, r"cannot listen on 127\.0\.0\.1:65536"),
        ({"host": "::1", "port": 70_000}, r"cannot listen on \[::1\]:70000"),
        ({"uds": "x", "reuse_port": True}, "reuse_port goes with host and port"),
        ({"fd": 3, "reuse_port": True}, "reuse_port goes with host and port"),
        # Unix
        ({"uds": ""}, "listen.uds is no path"),
        ({"uds": "@"}, "listen.uds is no path"),
        ({"uds": "\0"}, "listen.uds is no path"),
        ({"uds": "a\0b"}, "listen.uds is no path"),
        ({"uds_mode": 0o660}, "uds_mode goes with the path"),
        ({"fd": 3, "uds_mode": 0o660}, "uds_mode goes with the path"),
        ({"uds": "@bot", "uds_mode": 0o660}, "uds_mode goes with the path"),
        ({"uds": "x", "uds_mode": 0o1000}, "0 to 0o777"),
        ({"uds": "x", "uds_mode": -1}, "0 to 0o777"),
        # the rest
        ({"fd": -1}, "cannot listen on fd -1"),
        ({"backlog": 0}, "listen.backlog"),
        ({"max_handshakes": 0}, "listen.max_handshakes"),
        ({"proxy_header_timeout": 0}, "listen.proxy_header_timeout"),
        ({"proxy_header_timeout": float("inf")}, "listen.proxy_header_timeout"),
        ({"proxy_header_timeout": float("nan")}, "listen.proxy_header_timeout"),
        ({"proxy_protocol": True}, "listen.proxy_protocol needs listen.forwarded_allow_ips"),
        ({"forwarded_allow_ips": "10.0.0.1/8"}, "forwarded_allow_ips: '10.0.0.1/8'"),
    ],
)
def test_what_cannot_work_is_refused_as_it_is_made(settings: dict[str, object], text: str):
    with pytest.raises(ConfigError, match=text):
        Listen(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"port": 0},
        {"port": 65_535},
        {"fd": 0},
        {"uds": "x", "uds_mode": 0},
        {"uds": "x", "uds_mode": 0o777},
        {"uds": "@bot"},
        {"uds": "\0bot"},
        {"backlog": 1},
        {"reuse_port": True, "host": None},
        {"proxy_protocol": True, "forwarded_allow_ips": "unix", "uds": "x"},
        {"systemd": True, "tls": TLS("cert.pem")},
    ],
)
def test_what_can_work_is_let_through(settings: dict[str, object]):
    Listen(**settings)


def test_whom_it_trusts_is_read_as_uvicorn_spells_it():
    assert Listen(forwarded_allow_ips="10.0.0.1, 10.0.0.2").trusted == read_trusted_peers(["10.0.0.1", "10.0.0.2"])


@pytest.mark.parametrize(("uds", "abstract"), [("@bot", True), ("\0bot", True), ("/run/@bot", False), ("bot", False)])
def test_an_at_sign_in_front_makes_a_name_abstract(uds: str, abstract: bool):  # noqa: FBT001 - a table's column
    assert Listen(uds=uds).is_abstract is abstract


@pytest.mark.parametrize(
    ("address", "text"),
    [
        # as socket.getsockname gives it
        (("192.0.2.1", 80), "192.0.2.1:80"),
        (("2001:db8::1", 80, 0, 0), "[2001:db8::1]:80"),
        (("::", 0, 0, 0), "[::]:0"),
        ("/run/bot.sock", "unix:/run/bot.sock"),
        (b"\0bot", "unix:@bot"),
        (b"\0\xff", "unix:@\\xff"),
        ("", "unix:"),
    ],
)
def test_an_address_is_written_as_in_a_url(address: object, text: str):
    assert write_address(address) == text


@pytest.mark.parametrize(
    ("address", "peer"),
    [(("192.0.2.1", 80), "192.0.2.1"), (("::1", 80, 0, 0), "::1"), ("", ""), ("/client", ""), (b"\0x", ""), (None, "")],
)
def test_only_tcp_peers_have_an_address(address: object, peer: str):
    assert peer_of(address) == peer


def test_an_origin_knows_its_scheme_its_name_and_whom_to_believe():
    listen = Listen(port=0, forwarded_allow_ips="unix,10.0.0.1")
    on_unix = make_origin(listen, "/run/bot.sock", unix=True)
    assert on_unix == Origin("http", "unix:/run/bot.sock", unix=True, trusted=listen.trusted)
    on_tcp = make_origin(replace(listen, tls=TLS("cert.pem")), ("::1", 443, 0, 0), unix=False)
    assert on_tcp == Origin("https", "[::1]:443", unix=False, trusted=read_trusted_peers("10.0.0.1"))


@pytest.mark.parametrize(
    ("addresses", "clash"),
    [
        ([], None),
        ([("127.0.0.1", 80), ("127.0.0.1", 81), ("127.0.0.2", 80), ("::1", 80)], None),
        ([("0.0.0.0", 80), ("::", 80)], None),
        ([("127.0.0.1", 80), ("::", 80)], None),  # "::" is IPv6 alone
        ([("0.0.0.0", 80), ("127.0.0.1", 81)], None),
        ([("127.0.0.1", 80), ("::1", 80), ("127.0.0.1", 80)], ("127.0.0.1", 80)),
        ([("0.0.0.0", 80), ("127.0.0.1", 80)], ("127.0.0.1", 80)),
        ([("127.0.0.1", 80), ("127.0.0.2", 80), ("0.0.0.0", 80)], ("0.0.0.0", 80)),
        ([("::1", 80), ("::", 80)], ("::", 80)),
    ],
)
def test_an_address_that_is_taken_twice_is_found(addresses: list[tuple[str, int]], clash: tuple[str, int] | None):
    assert find_clash(addresses) == clash
