"""What proxies write before their client's bytes: PROXY headers of both versions, and things to follow them."""

import socket

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")
"""The fixed block of section 2.2 of HAProxy's proxy-protocol.txt."""

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
TLS_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
"""How every TLS client begins: a handshake record, and in it a ClientHello (RFC 8446, section 5.1)."""


def v2(command: int, family: int, block: bytes) -> bytes:
    """Write a binary header: version and command, family and transport, then whatever is to follow."""
    return SIGNATURE + bytes([command, family]) + len(block).to_bytes(2, "big") + block


def line_of(client: str) -> bytes:
    """Write the line for a client of this address."""
    kind = "TCP6" if ":" in client else "TCP4"
    return f"PROXY {kind} {client} {client} 4711 443\r\n".encode()


def binary_of(client: str, vectors: bytes = b"") -> bytes:
    """Write the binary header for a client of this address."""
    family, number = (socket.AF_INET6, 0x21) if ":" in client else (socket.AF_INET, 0x11)
    return v2(0x21, number, socket.inet_pton(family, client) * 2 + b"\x12\x67\x01\xbb" + vectors)


LOCAL = v2(0x20, 0x00, b"")
"""The proxy's own connection: a health check."""
