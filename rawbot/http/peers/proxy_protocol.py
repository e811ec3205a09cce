"""The PROXY protocol, versions 1 and 2: what a proxy writes before the first byte of its client.

Layer 2, pure. Bytes in, the client's address out. Whom to believe is the caller's business (the specification, section
5: only peers that are known to be proxies, and never by looking whether such a header happens to be there), and so is
how the bytes are read: `rawbot.aio.listening.proxied` does it without taking one that belongs to what follows.

The source is proxy-protocol.txt of HAProxy, sections 2.1 and 2.2. Version 2's additional vectors (TLV) are skipped.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from rawbot.errors import LimitError, ProtocolError
from rawbot.http.peers.trust import Address, plain

MAX_LINE_SIZE = 107
"""Version 1, CRLF included: section 2.1 computes it as the longest that a sender may write."""
MAX_HEADER_SIZE = 4096
"""Version 2, whose length field allows 64 KiB. Addresses need 232; the vectors of the known senders need hundreds."""

_LINE_START = b"PROXY "
_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_FIXED = 16
"""Signature, version and command, family and transport, length."""

_PORT = rb"(0|[1-9][0-9]{0,4})"
_TCP4 = re.compile(rb"PROXY TCP4 ([0-9.]+) ([0-9.]+) " + _PORT + b" " + _PORT + rb"\r\n")
_TCP6 = re.compile(rb"PROXY TCP6 ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) " + _PORT + b" " + _PORT + rb"\r\n")
_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [^\r\n]*)?\r\n")
_MAX_PORT = 0xFFFF

_LOCAL, _PROXY = 0, 1
_UNSPECIFIED, _INET, _INET6, _UNIX = range(4)
_BLOCK_SIZES = {_UNSPECIFIED: 0, _INET: 2 * 4 + 2 * 2, _INET6: 2 * 16 + 2 * 2, _UNIX: 2 * 108}
"""Bytes of both addresses and ports, by family; what stands behind them are vectors."""
_TRANSPORTS = (0, 1, 2)
"""Unspecified, stream and datagram: the client of an HTTP/3 proxy comes by datagrams."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """What a header says."""

    peer: str | None
    """The client's address, empty when it came over a Unix socket. None when the connection is the proxy's own
    (LOCAL: a health check) or its client is UNKNOWN: then the connection's own peer stands."""


class ProxyHeaderReader:
    """Reads one header. It is over when `header` is there or `receive_data` has raised."""

    __slots__ = ("_buffer", "header")

    def __init__(self) -> None:
        self.header: ProxyHeader | None = None
        self._buffer = bytearray()

    def receive_data(self, data: bytes) -> int:
        """Take in what came next; return how many bytes of it belong to the header: all of them while it is not whole.

        Raises `ProtocolError` for what is no header, as soon as its first bytes show it, and for a malformed one once
        it is whole; `LimitError` for one that is too long.
        """
        known = len(self._buffer)
        self._buffer += data[: MAX_HEADER_SIZE - known]
        end = self._find_end()
        if end is None:
            return len(data)
        header = bytes(self._buffer[:end])
        self.header = _decode_line(header) if header.startswith(_LINE_START) else _decode_v2(header)
        return end - known

    def _find_end(self) -> int | None:
        """Return the header's whole length, or None while it is not there."""
        buffer = self._buffer
        if _SIGNATURE.startswith(buffer[: len(_SIGNATURE)]):
            return self._find_end_of_v2()
        if not _LINE_START.startswith(buffer[: len(_LINE_START)]):
            raise ProtocolError("no PROXY header")
        end = buffer.find(b"\n", 0, MAX_LINE_SIZE) + 1
        if end == 0 and len(buffer) >= MAX_LINE_SIZE:
            raise LimitError("the PROXY line is too long")
        return end or None

    def _find_end_of_v2(self) -> int | None:
        buffer = self._buffer
        if len(buffer) < _V2_FIXED:
            return None
        end = _V2_FIXED + int.from_bytes(buffer[14:16], "big")
        if end > MAX_HEADER_SIZE:
            raise LimitError("the PROXY header is too long")
        return end if len(buffer) >= end else None


def _decode_line(line: bytes) -> ProxyHeader:
    if _UNKNOWN.fullmatch(line):
        return ProxyHeader(None)
    for form, address in ((_TCP4, IPv4Address), (_TCP6, IPv6Address)):
        if found := form.fullmatch(line):
            return ProxyHeader(_read_line(found, address))
    raise ProtocolError("a malformed PROXY line")


def _read_line(found: re.Match[bytes], address: type[Address]) -> str:
    """Return the source; the destination and the ports are checked all the same, for what is odd is no proxy's."""
    try:
        source, _ = (address(text.decode("ascii")) for text in found.group(1, 2))
    except ValueError:
        raise ProtocolError("a malformed address in a PROXY line") from None
    if any(int(port) > _MAX_PORT for port in found.group(3, 4)):
        raise ProtocolError("a malformed port in a PROXY line")
    return str(plain(source))


def _decode_v2(header: bytes) -> ProxyHeader:
    version, command = divmod(header[12], 16)
    family, transport = divmod(header[13], 16)
    if version != 2 or command not in (_LOCAL, _PROXY):  # noqa: PLR2004 - version 2
        raise ProtocolError("a PROXY header with an unknown version or command")
    if command == _LOCAL:
        return ProxyHeader(None)  # section 2.2: whatever else is there, family included, is ignored
    if family not in _BLOCK_SIZES or transport not in _TRANSPORTS:
        raise ProtocolError("a PROXY header with an unknown family or transport")
    if family == _UNSPECIFIED or transport == 0:
        return ProxyHeader(None)
    block = header[_V2_FIXED:]
    if len(block) < _BLOCK_SIZES[family]:
        raise ProtocolError("a PROXY header that is too short for its addresses")
    if family == _UNIX:
        return ProxyHeader("")
    return ProxyHeader(str(plain(IPv4Address(block[:4]) if family == _INET else IPv6Address(block[:16]))))
