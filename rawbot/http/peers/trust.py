"""The addresses of peers in one spelling, and which of them are proxies that we trust.

Layer 2, pure. Nobody is trusted unless the operator says so: uvicorn's default, 127.0.0.1, would let every program on
this machine, and whatever a careless proxy passes on, say who the client is.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from rawbot.errors import ConfigError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

EVERYBODY = "*"
UNIX = "unix"

_MAPPED = IPv6Network("::ffff:0:0/96")


def plain(address: Address) -> Address:
    """Return the IPv4 address that an IPv4-mapped one (RFC 4291, section 2.5.5.2) stands for, or itself.

    A dual-stack socket gives its IPv4 peers in that form; lists, logs and counters know them by the other.
    """
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def plain_text(address: str) -> str:
    """Return the usual spelling of what a socket says: an IPv4 address without IPv6 around it."""
    return str(read_address(address) or address) if address.startswith("::ffff:") else address


def read_address(text: str) -> Address | None:
    """Read an address, or return None for what is none. A zone ("fe80::1%eth0") only names our own interface: it goes.

    Python's readers take no spelling but the usual: neither octal nor hexadecimal parts, signs, spaces or short forms.
    """
    if not text.isascii():
        return None  # they do take other scripts' digits
    try:
        return plain(ip_address(text.partition("%")[0]))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class TrustedPeers:
    """Whom to believe about the client, made by `read_trusted_peers`. False when nobody is trusted."""

    networks: tuple[Network, ...] = ()
    unix: bool = False
    """Whether peers on a Unix socket are trusted, who have no address: its file mode says who they can be."""
    everybody: bool = False

    def __bool__(self) -> bool:
        return self.everybody or self.unix or bool(self.networks)

    def __contains__(self, peer: str) -> bool:
        """Tell whether to believe the peer with this address; it is empty on a Unix socket."""
        if self.everybody:
            return True
        if not peer:
            return self.unix
        address = read_address(peer)
        return address is not None and self.trusts(address)

    def trusts(self, address: Address) -> bool:
        """Tell whether to believe who has this address, in its plain form."""
        return self.everybody or any(address in network for network in self.networks)

    def without_unix(self) -> "TrustedPeers":
        """Return who is trusted on a TCP socket, whose peer may have no address because it is gone already."""
        return replace(self, unix=False)


def read_trusted_peers(peers: str | Iterable[str]) -> TrustedPeers:
    """Read addresses and networks ("10.0.0.0/8"), "unix" for peers on Unix sockets, "*" for everybody.

    They come as a sequence or, as uvicorn's `forwarded_allow_ips`, in one text with commas. Raises `ConfigError` for
    anything else, such as a network with host bits.
    """
    entries = peers.split(",") if isinstance(peers, str) else peers
    names = [name for entry in entries if (name := entry.strip())]
    networks = tuple(_read_network(name) for name in names if name not in (EVERYBODY, UNIX))
    return TrustedPeers(networks, UNIX in names, EVERYBODY in names)


def _read_network(name: str) -> Network:
    try:
        network = ip_network(name)
    except ValueError:
        raise ConfigError(
            f"forwarded_allow_ips: {name!r} is no address, no network, and neither 'unix' nor '*'"
        ) from None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        return IPv4Network((int(network.network_address) & 0xFFFF_FFFF, network.prefixlen - _MAPPED.prefixlen))
    return network
