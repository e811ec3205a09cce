"""WeCom's files: opened piece by piece while they download, sealed for the platform's side.

Layer 3, pure. Source: developer.work.weixin.qq.com/document/path/100719: a file is AES-256-CBC under the bot's
EncodingAESKey, IV = its first 16 bytes, PKCS#7 to a multiple of 32. Unlike a message it has neither random prefix nor
length field, so the padding alone tells a whole file from one that was cut short.
"""

from Crypto.Cipher import AES

from rawbot.event import Attachment
from rawbot.wecom.crypto import FRAME_ERROR, CryptoError, pad, unpad

MEDIA_LIFETIME = 300.0
"""Seconds after the message for which its files can be downloaded (doc 100719)."""

_UNIT = 32
_IV_BYTES = 16


class MediaDecoder:
    """Opens one file, in pieces of any size. What `update` gives is not known to be whole before `finish` has said so.

    `key` is the 32 bytes of an EncodingAESKey. There is one cipher object per file here: a file's first block is not
    thrown away as a message's is, so the cipher cache of `crypto` does not apply.
    """

    __slots__ = ("_decrypt", "_held")

    def __init__(self, key: bytes) -> None:
        self._decrypt = AES.new(key, AES.MODE_CBC, key[:_IV_BYTES]).decrypt
        self._held = b""

    def update(self, data: bytes) -> bytes:
        """Return what is surely content: all whole units but the last, which may be padding."""
        held = self._held + data
        end = max(len(held) - 1, 0) // _UNIT * _UNIT
        self._held = held[end:]
        return self._decrypt(held[:end])

    def finish(self) -> bytes:
        """Return the last 0 to 31 bytes. Raises `CryptoError`: -40008 length, -40007 padding."""
        if len(self._held) != _UNIT:
            raise CryptoError("the file is cut short: its length is not a multiple of 32", code=FRAME_ERROR)
        return unpad(self._decrypt(self._held))


def encode_media(data: bytes, key: bytes) -> bytes:
    """Return the file as the platform serves it: 1 to 32 bytes longer."""
    return AES.new(key, AES.MODE_CBC, key[:_IV_BYTES]).encrypt(pad(data))


class WeComAttachment(Attachment):
    """A file of a user's message. `key` is that of the pair of token and key which opened the message."""

    __slots__ = ("_key",)

    def __init__(self, kind: str, url: str, *, key: bytes, expires_at: float, name: str = "") -> None:
        super().__init__(kind, url, expires_at=expires_at, name=name)
        self._key = key

    def decoder(self) -> MediaDecoder:
        """Return a fresh decoder for one download."""
        return MediaDecoder(self._key)
