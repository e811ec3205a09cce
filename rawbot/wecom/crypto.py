"""WeCom's message crypto: signature, AES-256-CBC, the frame inside, for a server that does thousands a second.

Layer 3, pure: chance comes in as `entropy`. Sources: developer.work.weixin.qq.com/document/path/101033 (AI bots) and
91144 (the scheme), called "the vendor's page" below.

    signature  = sha1 of token, timestamp, nonce and ciphertext, sorted as bytes and joined, in lower-case hex
    ciphertext = base64(AES-256-CBC(key, iv = key[:16], frame + padding))
    frame      = 16 random bytes | length of message, 4 bytes big-endian | message | receive id
    padding    = PKCS#7 to a multiple of 32: 1 to 32 bytes

**Why there is no AES object per message.** Making one costs 6 µs (key schedule and wrappers), more than all the rest of
a short message. Both directions keep one CBC object that runs on from message to message and is never set back to the
IV, because of what the scheme does with the first block, the 16 random bytes:

- Decrypting: CBC is `plain[i] = D(cipher[i]) xor cipher[i-1]`, so a wrong predecessor spoils the first block only,
  and that block is thrown away unread.
- Encrypting: the first block only has to be unpredictable. Running on, its ciphertext is `E(last ciphertext block)`,
  which is how NIST SP 800-38A (appendix C) makes the IV of the next message, and the receiver finds 16 bytes there that
  differ every time. Entropy goes in once, at the start.

Both objects serve one thread of one process: after a fork, make new ones.
"""

import binascii
import os
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Sequence
from hashlib import sha1
from hmac import compare_digest

from Crypto.Cipher import AES

from rawbot.errors import ConfigError, ProtocolError
from rawbot.wecom.settings import demand_text, draw

SIGNATURE_ERROR = -40001
PARSE_ERROR = -40002
RECEIVE_ID_ERROR = -40005
DECRYPT_ERROR = -40007
FRAME_ERROR = -40008
BASE64_ERROR = -40010

_BLOCK = 16
_HEADER = _BLOCK + 4
_ZEROS = bytes(_BLOCK)
_PAD_TO = 32
_KEY_CHARACTERS = 43
_PADDING = tuple(bytes((n,)) * n for n in range(_PAD_TO + 1))

ReceiveId = str | Sequence[str] | None
"""What may stand at the end of a frame: one id (`""` for a company's own bot), several, or None for any."""


class CryptoError(ProtocolError):
    """The peer's ciphertext is not good; `code` is the vendor's -400xx number (the vendor's page, error codes)."""


def decode_key(encoding_aes_key: str) -> bytes:
    """Return the 32 key bytes of an EncodingAESKey: 43 base64 characters.

    White space around it and a 44th character `=` are tolerated. The two bits that the last character carries beyond
    256 are ignored, as the platform often leaves them set: four texts stand for one key. Raises `ConfigError`, which
    does not repeat the key.
    """
    text = demand_text("an EncodingAESKey", encoding_aes_key).strip()
    if len(text) == _KEY_CHARACTERS + 1 and text.endswith("="):
        text = text[:-1]
    if len(text) != _KEY_CHARACTERS or not (text.isascii() and text.isalnum()):
        raise ConfigError("an EncodingAESKey has 43 characters out of A-Z, a-z, 0-9")
    return a2b_base64(text + "=")


def pad(data: bytes) -> bytes:
    """Add PKCS#7 padding to a multiple of 32; a full block when the length is one already."""
    return data + _PADDING[_PAD_TO - len(data) % _PAD_TO]


def unpad(padded: bytes) -> bytes:
    """Take the padding off after looking at every byte of it. Raises `CryptoError` (-40007)."""
    count = padded[-1] if padded else 0
    if not 1 <= count <= _PAD_TO or len(padded) < count or padded[-count:] != _PADDING[count]:
        raise CryptoError("the padding is wrong", code=DECRYPT_ERROR)
    return padded[:-count]


class WeComCrypto:
    """One token and key: verifies, decrypts, encrypts and signs. All that derives from the key is made once.

    `entropy(n)` gives n random bytes. Not for use by several threads at once.
    """

    __slots__ = ("_ahead", "_decrypt", "_encrypt", "_iv", "_key", "_last_block", "_receive_ids", "_tails", "_token")

    def __init__(
        self,
        token: str,
        encoding_aes_key: str,
        *,
        receive_id: ReceiveId = "",
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        if not demand_text("the token", token).strip():
            raise ConfigError("the token must not be empty: with an empty one anybody can sign")
        self._token = token.strip().encode()
        self._key = decode_key(encoding_aes_key)
        self._iv = self._key[:_BLOCK]
        self._receive_ids = _encode_ids(receive_id)
        self._tails = _make_tails(self._receive_ids[0] if self._receive_ids else b"")
        self._decrypt = AES.new(self._key, AES.MODE_CBC, self._iv).decrypt
        self._encrypt = AES.new(self._key, AES.MODE_CBC, self._iv).encrypt
        self._last_block = self._encrypt(draw(entropy, _BLOCK))
        self._ahead: dict[bytes, bytes] = {}

    def __repr__(self) -> str:
        return "<WeComCrypto>"  # neither token nor key

    @property
    def key(self) -> bytes:
        """The 32 AES key bytes, which also open the files that users send."""
        return self._key

    def verify(self, signature: bytes, timestamp: bytes, nonce: bytes, encrypted: bytes) -> bool:
        """Tell in constant time whether the signature fits. Upper-case hex does not: the platform never sends it."""
        return compare_digest(self.sign(timestamp, nonce, encrypted).encode(), signature)

    def sign(self, timestamp: bytes, nonce: bytes, encrypted: bytes) -> str:
        """Return the `msg_signature` of these and the token: SHA-1 in lower-case hex."""
        return sha1(b"".join(sorted((self._token, timestamp, nonce, encrypted)))).hexdigest()

    def decrypt(self, encrypted: bytes) -> bytes:
        """Open a base64 ciphertext whose signature was verified; return the message.

        Raises `CryptoError`: -40010 not base64, -40007 length or padding, -40008 frame, -40005 receive id.
        """
        try:
            ciphertext = a2b_base64(encrypted, strict_mode=True)
        except binascii.Error:
            raise CryptoError("the ciphertext is not base64", code=BASE64_ERROR) from None
        size = len(ciphertext)
        if size % _PAD_TO or not size:
            raise CryptoError("the ciphertext's length is not a multiple of 32", code=FRAME_ERROR)
        frame = self._decrypt(ciphertext)  # its first block is noise: see the top of the file
        end = _HEADER + int.from_bytes(frame[_BLOCK:_HEADER], "big")
        if frame[end:] == self._tails[(end - _HEADER) % _PAD_TO]:
            return frame[_HEADER:end]  # as we would have ended it ourselves: 0.4 µs less than by looking at each part
        return frame[_HEADER : self._look_at_end(frame, end)]

    def _look_at_end(self, frame: bytes, end: int) -> int:
        """Return where the message ends, if padding, length and receive id go together. Raises `CryptoError`."""
        size = len(frame)
        padding = frame[-1]
        if not 1 <= padding <= _PAD_TO or not frame.endswith(_PADDING[padding]):
            raise CryptoError("the padding is wrong", code=DECRYPT_ERROR)
        if end > size - padding:
            raise CryptoError("the length field points beyond the frame", code=FRAME_ERROR)
        if self._receive_ids and frame[end : size - padding] not in self._receive_ids:
            raise CryptoError("the message is meant for another receive id", code=RECEIVE_ID_ERROR)
        return end

    def encrypt(self, message: bytes, *, random: bytes | None = None) -> bytes:
        """Return the message as a base64 ciphertext.

        With `random` (16 bytes) the result is byte for byte that of a fresh cipher with this prefix.
        """
        ciphertext = self._encrypt(self._frame(message, _ZEROS if random is None else self._chained(random)))
        self._last_block = ciphertext[-_BLOCK:]
        return b2a_base64(ciphertext, newline=False)

    def encrypt_ahead(self, messages: Sequence[bytes]) -> None:
        """Encrypt in one go what is likely to be said soon, for `take_ahead`; what was kept before is forgotten.

        A call of pycryptodome's takes 2.7 µs, of which AES itself has 0.2 for a short message.
        """
        frames = [self._frame(message, _ZEROS) for message in messages]
        ciphertext = self._encrypt(b"".join(frames))
        self._last_block = ciphertext[-_BLOCK:] or self._last_block
        self._ahead = {}
        start = 0
        for message, frame in zip(messages, frames, strict=True):
            end = start + len(frame)
            self._ahead[message] = b2a_base64(ciphertext[start:end], newline=False)
            start = end

    def take_ahead(self, message: bytes) -> bytes | None:
        """Return what `encrypt` would, once, if it was encrypted ahead."""
        return self._ahead.pop(message, None)

    def _frame(self, message: bytes, prefix: bytes) -> bytes:
        size = len(message)
        return b"".join((prefix, size.to_bytes(4, "big"), message, self._tails[size % _PAD_TO]))

    def _chained(self, random: bytes) -> bytes:
        """Return what, xored with the last block, gives what a fresh cipher makes of this prefix and the IV."""
        return bytes(r ^ i ^ p for r, i, p in zip(random, self._iv, self._last_block, strict=True))


def _make_tails(receive_id: bytes) -> tuple[bytes, ...]:
    """Return what follows a message, by the remainder of its length: the id and the padding."""
    header = bytes(_HEADER)
    return tuple(pad(header + bytes(rest) + receive_id)[_HEADER + rest :] for rest in range(_PAD_TO))


def _encode_ids(receive_id: ReceiveId) -> tuple[bytes, ...]:
    """Return the ids to accept, the first being the one that we write; none of them means any."""
    if receive_id is None:
        return ()
    if not isinstance(receive_id, Sequence):
        raise ConfigError(f"receive_id is a text, a sequence of texts or None, not {type(receive_id).__name__}")
    ids = (receive_id,) if isinstance(receive_id, str) else tuple(receive_id)
    if not ids:
        raise ConfigError("receive_id is an empty list: give ids, '' for a company's own bot, or None for any")
    return tuple(demand_text("receive_id", i).encode() for i in ids)
