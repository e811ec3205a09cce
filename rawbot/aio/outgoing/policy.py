"""Whither outgoing requests may go: the pure part of the guard, addresses and URLs without a socket or a look-up.

Layer 3. `client` resolves, connects and asks here. The table is the IANA special-purpose address registries (RFC 6890).
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import quote, urljoin, urlsplit

from rawbot.errors import FetchError

Address = IPv4Address | IPv6Address

_SPECIAL_V4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network; Linux connects to itself there
            "10.0.0.0/8",
            "100.64.0.0/10",  # carriers' NAT; a cloud keeps its metadata server in it
            "127.0.0.0/8",
            "169.254.0.0/16",  # link-local: the other clouds' metadata servers
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")
_SPECIAL_V6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments; Teredo, which leads to any IPv4 address
            "2001:db8::/32",
            "2002::/16",  # 6to4, which does too
            "3fff::/20",
        ),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
_PRIVATE_V4 = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
_PRIVATE_V6 = IPv6Network("fc00::/7")

_NAME = re.compile(r"(?:[a-z0-9_-]+\.)*[a-z][a-z0-9-]*\.?")
"""A last label that begins with a digit makes an address in an odd spelling: 2130706433, 0x7f.1, 127.1."""

_VISIBLE = bytes(range(0x21, 0x7F)).decode()


def is_public(address: Address) -> bool:
    """Tell whether an address belongs to the open internet; one with an IPv4 address inside is judged by that.

    `ipaddress.is_global` will not do: it calls multicast global, and its table changed between releases of 3.11.
    """
    address = _effective(address)
    if isinstance(address, IPv4Address):
        return not any(address in block for block in _SPECIAL_V4)
    return address in _GLOBAL_V6 and not any(address in block for block in _SPECIAL_V6)


def _effective(address: Address) -> Address:
    """Return the IPv4 address that an IPv4-mapped (RFC 4291, 2.5.5.2) or a NAT64 one (RFC 6052) leads to, or itself."""
    if isinstance(address, IPv6Address) and (address.ipv4_mapped is not None or address in _NAT64):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


@dataclass(frozen=True, slots=True)
class Place:
    """A URL in its parts. Up to `authority` they may be told; `target` and `url` are a capability."""

    scheme: str
    host: str
    """A name, or an address without brackets."""
    port: int | None
    authority: str
    """Host and port as they stand in a URL and in the field Host."""
    target: bytes
    """Path and query as they were signed: what is visible ASCII stays as it is, the rest is percent-encoded."""
    url: str

    def __repr__(self) -> str:
        return f"<Place {self.scheme}://{self.authority}>"


@dataclass(frozen=True, slots=True)
class OutgoingPolicy:
    """By default https, to public addresses. Each option adds what its name says and nothing else.

    `allow_private` adds the networks of RFC 1918 and RFC 4193, `allow_loopback` this machine. Link-local, shared,
    multicast and reserved addresses stay closed whatever is set.
    """

    allow_http: bool = False
    allow_private: bool = False
    allow_loopback: bool = False

    anywhere: bool = False
    """Whether all of this is left out: for URLs that come from nobody but the operator."""

    def permits(self, address: Address) -> bool:
        """Tell whether a connection to this address may be opened."""
        if self.anywhere or is_public(address):
            return True
        address = _effective(address)
        if address.is_loopback:
            return self.allow_loopback
        if isinstance(address, IPv4Address):
            return self.allow_private and any(address in block for block in _PRIVATE_V4)
        return self.allow_private and address in _PRIVATE_V6

    def locate(self, url: str, base: str = "") -> Place:
        """Take a URL apart, one relative to `base` perhaps.

        Raises `FetchError` for a scheme that is not allowed, credentials, or a host in an odd spelling.
        """
        try:
            url = urljoin(base, url)
            parts = urlsplit(url)
            host, port = _check_host(parts.hostname or ""), parts.port
        except ValueError:
            raise FetchError("the URL is malformed") from None
        if parts.scheme != "https" and not ((self.allow_http or self.anywhere) and parts.scheme == "http"):
            raise FetchError(f"{host}: its URL does not begin with https")
        if "@" in parts.netloc:
            raise FetchError(f"{host}: its URL holds credentials")
        authority = f"[{host}]" if ":" in host else host
        if port is not None:
            authority += f":{port}"
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        return Place(parts.scheme, host, port, authority, quote(target, safe=_VISIBLE).encode(), url)


ANYWHERE = OutgoingPolicy(anywhere=True)
"""For the operator's own URLs."""


def _check_host(host: str) -> str:
    """Return a name in ASCII (RFC 3490) or an address. Raises ValueError for all else."""
    name = host.encode("idna").decode()
    if not _NAME.fullmatch(name):
        address = ip_address(name)
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            raise ValueError(name)  # a zone is local by definition
    return name
