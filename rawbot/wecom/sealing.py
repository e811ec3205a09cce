"""What comes sealed is opened, and the answer is sealed again: the callback's query, envelope and cipher put together.

Layer 3, pure. Source: developer.work.weixin.qq.com/document/path/101033.
"""

from collections.abc import Callable, Sequence

from rawbot.exchange import Response
from rawbot.wecom.crypto import RECEIVE_ID_ERROR, SIGNATURE_ERROR, CryptoError, WeComCrypto
from rawbot.wecom.envelope import encode_envelope
from rawbot.wecom.query import CallbackQuery

EMPTY = b""
"""The reply that says nothing: 200 with an empty body."""

_JSON = b"application/json"


class Seal:
    """What an answer to one callback is encrypted with: the pair of token and key that opened it, and its nonce."""

    __slots__ = ("_crypto", "_nonce")

    def __init__(self, crypto: WeComCrypto, nonce: str) -> None:
        self._crypto = crypto
        self._nonce = nonce

    @property
    def key(self) -> bytes:
        """The AES key, which also opens the files that came with the callback."""
        return self._crypto.key

    def response(self, plaintext: bytes, now: float) -> Response:
        """Encrypt and sign; a reply that says nothing is an empty body."""
        if plaintext == EMPTY:
            return Response(200)
        return self._signed(self._crypto.encrypt(plaintext), now)

    def first_response(self, plaintext: bytes, now: float, coming: Callable[[], list[bytes]]) -> Response:
        """Do the same for the first of frames of which the next ones are known: those that are `coming`."""
        crypto = self._crypto
        encrypted = crypto.take_ahead(plaintext)
        if encrypted is None:
            crypto.encrypt_ahead(coming())
            encrypted = crypto.encrypt(plaintext)
        return self._signed(encrypted, now)

    def _signed(self, encrypted: bytes, now: float) -> Response:
        timestamp = int(now)
        signature = self._crypto.sign(b"%d" % timestamp, self._nonce.encode(), encrypted)
        return Response(200, encode_envelope(encrypted, signature, timestamp, self._nonce), _JSON)


def unseal(ciphers: Sequence[WeComCrypto], query: CallbackQuery, encrypted: bytes) -> tuple[WeComCrypto, bytes]:
    """Verify, then decrypt, with whichever pair of token and key fits; return it with the message.

    Raises `CryptoError`: 403 when the signature fits none, else what `WeComCrypto.decrypt` says.
    """
    timestamp, nonce = query.timestamp.encode(), query.nonce.encode()
    failure: CryptoError | None = None
    for crypto in ciphers:
        if not crypto.verify(query.signature, timestamp, nonce, encrypted):
            continue
        try:
            return crypto, crypto.decrypt(encrypted)
        except CryptoError as error:
            failure = error
            if error.code == RECEIVE_ID_ERROR:
                break
    raise failure or CryptoError("the signature does not fit", status=403, code=SIGNATURE_ERROR)
