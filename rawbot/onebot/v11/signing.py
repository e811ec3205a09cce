"""The signature of an event that is posted: HMAC-SHA1 of the body, by which the application knows the sender.

Layer 3, pure. Source: OneBot 11, communication/http-post.
"""

import hmac

from rawbot.errors import ConfigError


class Signer:
    """Signs bodies with one secret; its repr does not tell it."""

    __slots__ = ("_keyed",)

    def __init__(self, secret: str) -> None:
        if not secret:
            raise ConfigError("an empty secret signs nothing: leave the secret out")
        # SHA-1 is the standard's choice; keyed, it is not touched by what is known against it as a bare hash.
        self._keyed = hmac.new(secret.encode(), digestmod="sha1")

    def sign(self, body: bytes) -> bytes:
        """Return the value of the field `X-Signature` for this body."""
        keyed = self._keyed.copy()  # the key is hashed once
        keyed.update(body)
        return b"sha1=" + keyed.hexdigest().encode("ascii")
