"""rawbot/http/peers/trust.py: addresses in one spelling, and nobody trusted who was not named."""

import pytest

from rawbot.errors import ConfigError
from rawbot.http.peers.trust import TrustedPeers, read_address, read_trusted_peers


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),  # RFC 4291, section 2.5.5.2
        ("::ffff:c000:201", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::1", "::1"),
    ],
)
def test_an_address_has_one_spelling(text: str, plain: str):
    assert str(read_address(text)) == plain


@pytest.mark.parametrize(
    "text",
    [
        "", " 192.0.2.1", "192.0.2.1 ", "192.0.2", "192.0.2.01", "0xc0.0.2.1", "3221225985", "192.0.2.256",
        "192.0.2.1/32", "[::1]", "::1::", "unknown", "_hidden", "localhost", "192.0.2.١",
        "１９２.0.2.1", "²", "-1", "+1.0.0.1",
        "192.0.2.1\x00", "1" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_address_in_the_usual_spelling_is_none(text: str):
    assert read_address(text) is None


@pytest.mark.parametrize("peers", ["", (), [], ",", " , ", ("",)])
def test_by_default_nobody_is_trusted(peers: str | list[str]):
    trusted = read_trusted_peers(peers)
    assert not trusted
    assert trusted == TrustedPeers()
    for peer in ("", "127.0.0.1", "::1", "10.0.0.1"):
        assert peer not in trusted


@pytest.mark.parametrize("peers", ["10.0.0.0/8, 192.0.2.1,2001:db8::/32", ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"]])
def test_addresses_and_networks_are_trusted_in_a_sequence_or_one_text(peers: str | list[str]):
    trusted = read_trusted_peers(peers)
    assert trusted
    for peer in ("10.0.0.0", "10.255.255.255", "192.0.2.1", "::ffff:10.1.2.3", "2001:db8:ffff::1", "2001:db8::1%eth0"):
        assert peer in trusted
    for peer in ("11.0.0.0", "192.0.2.2", "2001:db9::", "::ffff:11.0.0.1", "", "unknown", "10.0.0"):
        assert peer not in trusted


def test_a_network_may_be_written_as_a_dual_stack_socket_shows_it():
    trusted = read_trusted_peers("::ffff:10.0.0.0/104,::ffff:192.0.2.1")
    assert "10.9.9.9" in trusted
    assert "::ffff:10.9.9.9" in trusted
    assert "192.0.2.1" in trusted
    assert "11.0.0.0" not in trusted
    assert "::a00:1" not in trusted


def test_a_network_of_all_ipv6_holds_no_ipv4_in_disguise():
    assert "::ffff:10.0.0.1" not in read_trusted_peers("::/0")


def test_peers_on_a_unix_socket_are_trusted_by_that_name_only():
    assert "" in read_trusted_peers("unix")
    assert "127.0.0.1" not in read_trusted_peers("unix")
    assert "" not in read_trusted_peers("0.0.0.0/0,::/0")


def test_on_a_tcp_socket_a_peer_without_an_address_is_no_unix_peer():
    """A connection that is reset before it is accepted has no peer name any more (waitress, CVE-2024-49769's class)."""
    trusted = read_trusted_peers("unix,10.0.0.1").without_unix()
    assert "" not in trusted
    assert "10.0.0.1" in trusted


@pytest.mark.parametrize("peer", ["", "127.0.0.1", "2001:db8::1", "nonsense"])
def test_an_asterisk_trusts_everybody(peer: str):
    assert peer in read_trusted_peers("*")
    assert peer in read_trusted_peers(["192.0.2.1", "*"])


@pytest.mark.parametrize("entry", ["10.0.0.1/8", "10.0.0.0/33", "proxy.example", "10.0.0.*", "/8", "**", "Unix ", "1"])
def test_what_cannot_be_trusted_is_refused_by_name(entry: str):
    """To uvicorn 0.54 such an entry is a literal, which then matches nobody and says nothing."""
    with pytest.raises(ConfigError, match=r"forwarded_allow_ips: .* is no address") as caught:
        read_trusted_peers(["192.0.2.1", entry])
    assert entry.strip() in str(caught.value)
