"""A client's request for a WebSocket, as HTTP's connection hands it on."""

from rawbot.exchange import Headers, Request

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455, section 1.3
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

FIELDS = {
    b"host": b"x",
    b"upgrade": b"websocket",
    b"connection": b"Upgrade",
    b"sec-websocket-key": KEY,
    b"sec-websocket-version": b"13",
}


def handshake_request(
    changed: dict[bytes, bytes | None] | None = None, *more: tuple[bytes, bytes], **options: str | bytes
) -> Request:
    """Make a handshake with some fields changed, left out (None) or added, and other options of the request."""
    fields: dict[bytes, bytes | None] = FIELDS | (changed or {})
    headers: Headers = [*((name, value) for name, value in fields.items() if value is not None), *more]
    return Request(options.pop("method", "GET"), "/echo", headers=headers, **options)
