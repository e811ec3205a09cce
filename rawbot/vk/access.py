"""Where the API is and who we are there: URL, version and token, checked once.

Layer 3, pure. Source: dev.vk.com/ru/api/api-requests.
"""

import re
from collections.abc import Mapping
from hashlib import blake2b
from urllib.parse import urlsplit

from rawbot.errors import ConfigError
from rawbot.vk.methods import EncodedCall, encode_call

API_URL = "https://api.vk.com/method/"
API_VERSION = "5.199"

_TOKEN = re.compile(r"[!-~]+")
_VERSION = re.compile(r"\d{1,3}\.\d{1,3}")


class Access:
    """Encodes calls for one token. Raises `ConfigError` for what cannot be an access; no text holds the token."""

    __slots__ = ("https", "token", "url", "version")

    def __init__(self, token: str, url: str = API_URL, version: str = API_VERSION) -> None:
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise ConfigError("an access token is a string of printable ASCII characters, without spaces")
        if not isinstance(version, str) or not _VERSION.fullmatch(version):
            raise ConfigError('a version of the API is a string such as "5.199"')
        self.token = token
        self.version = version
        self.url, self.https = _check_url(url)

    def __repr__(self) -> str:
        return "<Access>"

    @property
    def fingerprint(self) -> str:
        """Return what tells this token from others, and nothing of it."""
        return blake2b(self.token.encode("ascii"), digest_size=6).hexdigest()

    def encode(self, method: str, fields: Mapping[str, str]) -> EncodedCall:
        """Return the request for a call."""
        return encode_call(method, fields, token=self.token, v=self.version, url=self.url)


def _check_url(url: str) -> tuple[str, bool]:
    """Return the URL with a slash at its end, and whether it is one by https."""
    try:
        parts = urlsplit(url)
        plain = bool(parts.hostname) and not (parts.username or parts.password or parts.query or parts.fragment)
        fits = plain and parts.scheme in ("https", "http") and parts.port != 0
    except (ValueError, TypeError, AttributeError):
        fits = False
    if not fits or not url.isascii() or any(c <= " " for c in url):
        raise ConfigError(f"the URL of the API is one by http or https, without query or user, such as {API_URL}")
    return url.rstrip("/") + "/", parts.scheme == "https"
