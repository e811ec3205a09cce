"""The two ways to do WeCom's crypto that peers are measured with.

`fresh` is what the vendor's sample does and whoever follows it: an AES object per message and direction. `cached` is
rawbot's own, lent to the peers: with it a comparison shows the HTTP stacks alone.
"""

import os
from base64 import b64decode, b64encode
from hashlib import sha1
from hmac import compare_digest
from typing import Protocol

from Crypto.Cipher import AES

from benchmarks.peers.order import Ciphers
from benchmarks.traffic import KEY, TOKEN
from rawbot.wecom.crypto import WeComCrypto

_BLOCK = 16
_HEADER = _BLOCK + 4
_PAD_TO = 32


class Crypto(Protocol):
    """Verifies, opens, closes and signs, for one token and key."""

    def verify(self, signature: bytes, timestamp: bytes, nonce: bytes, encrypted: bytes) -> bool:
        """Tell whether the signature fits."""

    def sign(self, timestamp: bytes, nonce: bytes, encrypted: bytes) -> str:
        """Return the signature."""

    def decrypt(self, encrypted: bytes) -> bytes:
        """Open a ciphertext in base64. Raises `ValueError` or a `ProtocolError` when that cannot be done."""

    def encrypt(self, message: bytes) -> bytes:
        """Return the message as a ciphertext in base64."""


class FreshCrypto:
    """An AES object per message and direction, the key decoded once; the checks are those of the vendor's sample."""

    def __init__(self, token: str, encoding_aes_key: str) -> None:
        self._token = token.encode()
        self._key = b64decode(encoding_aes_key + "=")
        self._iv = self._key[:_BLOCK]

    def verify(self, signature: bytes, timestamp: bytes, nonce: bytes, encrypted: bytes) -> bool:
        """Tell whether the signature fits."""
        return compare_digest(self.sign(timestamp, nonce, encrypted).encode(), signature)

    def sign(self, timestamp: bytes, nonce: bytes, encrypted: bytes) -> str:
        """Return the signature."""
        return sha1(b"".join(sorted((self._token, timestamp, nonce, encrypted)))).hexdigest()  # noqa: S324 - the vendor's choice

    def decrypt(self, encrypted: bytes) -> bytes:
        """Open a ciphertext in base64. Raises `ValueError`."""
        frame = AES.new(self._key, AES.MODE_CBC, self._iv).decrypt(b64decode(encrypted))
        end = _HEADER + int.from_bytes(frame[_BLOCK:_HEADER], "big")
        if not 1 <= frame[-1] <= _PAD_TO or end != len(frame) - frame[-1]:  # the receive id of a company's bot is empty
            raise ValueError("the frame is wrong")
        return frame[_HEADER:end]

    def encrypt(self, message: bytes) -> bytes:
        """Return the message as a ciphertext in base64."""
        frame = os.urandom(_BLOCK) + len(message).to_bytes(4, "big") + message
        padding = _PAD_TO - len(frame) % _PAD_TO
        return b64encode(AES.new(self._key, AES.MODE_CBC, self._iv).encrypt(frame + bytes((padding,)) * padding))


def make_crypto(ciphers: Ciphers) -> Crypto:
    """Return the crypto of the benchmark's bot."""
    return WeComCrypto(TOKEN, KEY) if ciphers == "cached" else FreshCrypto(TOKEN, KEY)
