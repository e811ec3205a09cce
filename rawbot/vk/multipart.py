"""One file as a form: multipart/form-data.

Layer 3, pure: chance comes in as `entropy`. Sources: RFC 7578; the escapes of the file's name are those of the HTML
standard, section "Multipart form data", which servers are used to.
"""

from collections.abc import Callable

_NAME_BYTES = 16
"""Bytes of chance in a boundary."""

_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


def draw_boundary(data: bytes, entropy: Callable[[int], bytes]) -> bytes:
    """Return a boundary that the file does not hold."""
    while (boundary := b"rawbot-" + entropy(_NAME_BYTES).hex().encode("ascii")) in data:
        pass
    return boundary


def encode_file(field: str, name: str, content_type: str, data: bytes, boundary: bytes) -> tuple[bytes, bytes]:
    """Return the body with this one file, and the value of its Content-Type field."""
    disposition = f'form-data; name="{field}"; filename="{name.translate(_ESCAPES)}"'
    head = f"Content-Disposition: {disposition}\r\nContent-Type: {content_type}\r\n\r\n".encode("utf-8", "replace")
    body = b"".join((b"--", boundary, b"\r\n", head, data, b"\r\n--", boundary, b"--\r\n"))
    return body, b"multipart/form-data; boundary=" + boundary
