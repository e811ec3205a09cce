"""Who the client is and what it spoke, by the word of proxies that we trust: X-Forwarded-For and -Proto, Forwarded.

Layer 2, pure. Each proxy adds the peer that it saw at the right end, so the walk goes from the right: from our own peer
to the one that it names, on for as long as the names are trusted proxies, and ends at the first that is not. What
stands left of it may be invented and is not even looked at: a broken element there cannot spoil what a proxy said.
Where the walk meets something that is no address (broken, "unknown", an obfuscated name) it ends one step before.

When both kinds of field are there, X-Forwarded-* are read and Forwarded (RFC 7239) is not. Nearly every proxy writes
the former and passes a Forwarded that its client made up on as it came; one that writes Forwarded has to remove the
X-Forwarded-* fields of its clients.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rawbot.exchange import Headers
from rawbot.http.peers.trust import Address, TrustedPeers, read_address

MAX_HOPS = 32
"""Elements looked at: at 5 µs each, a head full of trusted addresses would otherwise cost a request 9 ms."""
MAX_SIZE = 4096
"""Bytes looked at, from the right end, of one kind of field: more than as many elements can need."""

_SCHEMES = ("http", "https")

_NODE = re.compile(r"(?P<host>[0-9.]+|\[[0-9A-Fa-f:.]+\])(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?")
"""RFC 7239, section 6, without `unknown` and obfuscated names: those are no address."""

_ELEMENT_REVERSED = re.compile(r'(?>(?:[^",]|"(?>(?:[^"]|"\\)*)"=)*)')
"""One element of a Forwarded field, written backwards: outside of quotes no comma; a quote that a backslash escapes
belongs to the text; the opening one stands behind `=`. Nothing is tried twice, so the time is linear."""
_PAIR = re.compile(r""" *(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:"((?>(?:[^"\\]|\\.)*))"|([^\s",;=]+)))? *(?:;|\Z)""")
"""One parameter (RFC 7239, section 4); besides tokens, unquoted values may hold the `:` and `[]` of addresses."""


@dataclass(frozen=True, slots=True)
class _Hop:
    """What one proxy said of its peer."""

    address: Address | None
    scheme: str


def find_client(headers: Headers, peer: str, scheme: str, trusted: TrustedPeers) -> tuple[str, str]:
    """Return the client's address and scheme: `peer` and `scheme` themselves unless a trusted proxy says otherwise.

    `peer` is the connection's, empty on a Unix socket; `headers` have lower-case names. Only "http" and "https" are
    taken for a scheme. When all that are named are trusted, the first of them is the client.
    """
    if peer not in trusted:
        return peer, scheme
    addresses = _joined(headers, b"x-forwarded-for")
    schemes = _joined(headers, b"x-forwarded-proto")
    if addresses or schemes:
        hops = _read_x_forwarded(addresses, schemes)
    else:
        hops = _read_forwarded(_joined(headers, b"forwarded"))
    return _walk(hops, peer, scheme, trusted)


def _walk(hops: Iterator[_Hop], peer: str, scheme: str, trusted: TrustedPeers) -> tuple[str, str]:
    for _, hop in zip(range(MAX_HOPS), hops, strict=False):
        scheme = hop.scheme or scheme
        if hop.address is None:
            break
        peer = str(hop.address)
        if not trusted.trusts(hop.address):
            break
    return peer, scheme


def _joined(headers: Headers, name: bytes) -> str:
    """Return the right end of all lines of a field as one list (RFC 9110, section 5.3), at most `MAX_SIZE` of it."""
    text = b",".join([value for key, value in headers if key == name])
    if len(text) > MAX_SIZE:
        text = b"?" + text[-MAX_SIZE:]  # what is cut in the middle is no element
    return text.decode("latin-1")


def _read_x_forwarded(addresses: str, schemes: str) -> Iterator[_Hop]:
    """Pair both lists from the right. A proxy that does not append to the list of schemes has set one for all."""
    told = _split_backwards(schemes)
    places = _split_backwards(addresses)
    if not places and told:
        yield _Hop(None, _scheme(told[0]))
    for place, text in enumerate(places):
        yield _Hop(_read_node(text) or read_address(text), _scheme(told[min(place, len(told) - 1)]) if told else "")


def _split_backwards(text: str) -> list[str]:
    """Return the elements of a list, the last first; empty ones do not count (RFC 9110, section 5.6.1)."""
    return [value for part in reversed(text.split(",")) if (value := part.strip(" \t"))]


def _scheme(value: str) -> str:
    value = value.lower()
    return value if value in _SCHEMES else ""


def _read_node(text: str) -> Address | None:
    found = _NODE.fullmatch(text)
    return read_address(found["host"].strip("[]")) if found else None


def _read_forwarded(text: str) -> Iterator[_Hop]:
    """Read the elements from the right, up to one that is so broken that nobody can tell where it begins."""
    backwards = text[::-1]
    start = 0
    while start < len(backwards):
        found = _ELEMENT_REVERSED.match(backwards, start)
        end = found.end() if found else start
        if end < len(backwards) and backwards[end] != ",":
            return
        if element := backwards[start:end][::-1].strip(" \t"):
            yield _read_element(element)
        start = end + 1


def _read_element(element: str) -> _Hop:
    parameters: dict[str, str] = {}
    start = 0
    while start < len(element):
        found = _PAIR.match(element, start)
        if found is None:
            return _Hop(None, "")
        start = found.end()
        if not (name := (found[1] or "").lower()):
            continue  # section 4 lets a pair be empty
        if name in parameters:
            return _Hop(None, "")  # and each parameter be there once
        parameters[name] = found[3] or found[2]
    return _Hop(_read_node(parameters.get("for", "")), _scheme(parameters.get("proto", "")))
