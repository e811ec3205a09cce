"""Who may come in: the access token, in the header or in the query.

Layer 3, pure. Source: OneBot 12, connect/communication/http: an Authorization header decides alone if there is one,
else the query parameter does. Compared in constant time.
"""

from hmac import compare_digest
from urllib.parse import unquote_plus, unquote_to_bytes

from rawbot.exchange import Request


class Authorization:
    """The token of one connection; an empty one, as none, lets everybody in."""

    __slots__ = ("_bearer", "_token")

    def __init__(self, token: str | None) -> None:
        self._token = (token or "").encode()
        self._bearer = b"Bearer " + self._token

    @property
    def open(self) -> bool:
        """Whether everybody is let in."""
        return not self._token

    def admits(self, request: Request) -> bool:
        """Tell whether a request brings the token."""
        if not self._token:
            return True
        header = request.header(b"authorization")
        if header is not None:
            return compare_digest(header, self._bearer)
        given = _parameter(request.query)
        if given is None:
            return False
        # A + is itself to most who write a URL by hand, and a blank to those who encode forms.
        raw, form = unquote_to_bytes(given), unquote_plus(given).encode()
        return compare_digest(raw, self._token) | compare_digest(form, self._token)

    @staticmethod
    def is_brought(request: Request) -> bool:
        """Tell whether a request brings a token at all, right or wrong."""
        return request.header(b"authorization") is not None or _parameter(request.query) is not None


def _parameter(query: str) -> str | None:
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name == "access_token":
            return value
    return None
