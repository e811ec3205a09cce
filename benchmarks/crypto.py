"""`crypto`: verify, decrypt, encrypt, sign. Ours, with ciphers made once, against making them for each message.

- rawbot: `WeComCrypto` as the server uses it.
- fresh AES objects: the very same code and checks, but a new AES object per direction per message, and nothing else
  different. It even goes without the 16 random bytes that a fresh cipher needs for its first block.
- the obvious way: the shape that the vendor's samples have, a crypto object per message that decodes the key, makes its
  ciphers and draws its random bytes; written for this file.

The envelope's JSON is left out on all sides.
"""

import base64
import hashlib
import struct
from collections.abc import Callable, Sequence
from functools import partial
from os import urandom
from typing import NamedTuple

from Crypto.Cipher import AES

from benchmarks.measuring import Measured, Progress, Series, Turn, cpu_us, fitting, interleave, to_json
from benchmarks.record import Result
from benchmarks.traffic import KEY, TOKEN
from rawbot.wecom.crypto import WeComCrypto

ROUNDS = 15
SECONDS = 9.0
SIZES = (100, 300, 1000, 4000)

OURS, FRESH, OBVIOUS = "rawbot", "fresh AES objects", "the obvious way"
FIGURE = "cpu_us_per_message"
TARGET_SIZE = 300
TARGET = 2.5
"""How many times our cost fresh AES objects must cost at 300 bytes."""

_DISTINCT = 256
_TIMESTAMP = b"1767225600"


class Sealed(NamedTuple):
    """One message on the wire."""

    signature: bytes
    nonce: bytes
    encrypted: bytes


Way = Callable[[Sealed], bytes]
"""Opens a message and seals it again: verify, decrypt, encrypt, sign; returns the plaintext."""


class FreshCrypto(WeComCrypto):
    """The same, once more, with ciphers that can be made anew."""

    __slots__ = ()

    def renew_decryptor(self) -> None:
        """Make a new AES object for the next message in."""
        self._decrypt = AES.new(self._key, AES.MODE_CBC, self._iv).decrypt

    def renew_encryptor(self) -> None:
        """Make a new AES object for the next message out."""
        self._encrypt = AES.new(self._key, AES.MODE_CBC, self._iv).encrypt


class ObviousCrypto:
    """WeCom's scheme step by step (developer.work.weixin.qq.com/document/path/91144), all of it made per message."""

    def __init__(self, token: str, encoding_aes_key: str, receive_id: str) -> None:
        self.token = token
        self.key = base64.b64decode(encoding_aes_key + "=")
        self.receive_id = receive_id

    def sign(self, timestamp: str, nonce: str, encrypted: str) -> str:
        """Return the signature."""
        joined = "".join(sorted([self.token, timestamp, nonce, encrypted]))
        return hashlib.sha1(joined.encode()).hexdigest()  # noqa: S324 - the vendor's choice

    def decrypt(self, signature: str, timestamp: str, nonce: str, encrypted: str) -> bytes:
        """Verify and open."""
        if self.sign(timestamp, nonce, encrypted) != signature:
            raise ValueError("signature")
        cipher = AES.new(self.key, AES.MODE_CBC, self.key[:16])
        padded = cipher.decrypt(base64.b64decode(encrypted))
        content = padded[16 : -padded[-1]]
        (length,) = struct.unpack(">I", content[:4])
        if content[4 + length :].decode() != self.receive_id:
            raise ValueError("receive id")
        return content[4 : 4 + length]

    def encrypt(self, message: bytes, timestamp: str, nonce: str) -> tuple[str, str]:
        """Seal; return ciphertext and signature."""
        content = urandom(16) + struct.pack(">I", len(message)) + message + self.receive_id.encode()
        count = 32 - len(content) % 32
        cipher = AES.new(self.key, AES.MODE_CBC, self.key[:16])
        encrypted = base64.b64encode(cipher.encrypt(content + bytes([count]) * count)).decode()
        return encrypted, self.sign(timestamp, nonce, encrypted)


def run(*, rounds: int = ROUNDS, seconds: float = SECONDS, progress: Progress) -> Result:
    """Measure all sizes; `seconds` is what they take together."""
    lines = [
        f"CPU µs per message, median (p10–p90) of {rounds} interleaved rounds",
        "",
        f"{'bytes':>5}  {OURS:<22}{FRESH:<22}{OBVIOUS:<22}{'fresh / rawbot':<22}obvious / rawbot",
    ]
    by_round: list[str] = []
    figures: dict[str, object] = {}
    fresh_to_ours: dict[int, Series] = {}
    for size in SIZES:
        measured = measure(size, rounds, seconds / len(SIZES), _at_size(progress, size))
        ours, fresh, obvious = (measured[name][FIGURE] for name in (OURS, FRESH, OBVIOUS))
        fresh_to_ours[size], obvious_to_ours = fresh / ours, obvious / ours
        columns = [series.format(".1f") for series in (ours, fresh, obvious)]
        columns += [fresh_to_ours[size].format(), obvious_to_ours.format()]
        lines.append(f"{size:>5}  " + "".join(f"{column:<22}" for column in columns).rstrip())
        by_round.append(f"{size:>5}  fresh / rawbot    {fresh_to_ours[size].format_rounds()}")
        by_round.append(f"       obvious / rawbot  {obvious_to_ours.format_rounds()}")
        ratios = {"fresh_to_ours": fresh_to_ours[size].to_json(), "obvious_to_ours": obvious_to_ours.to_json()}
        figures[str(size)] = to_json(measured) | ratios
    verdict = "met" if fresh_to_ours[TARGET_SIZE].median >= TARGET else "missed"
    target = f"fresh / rawbot at {TARGET_SIZE} bytes at least {TARGET}: {verdict}"
    return Result("crypto", [*lines, "", "round by round", *by_round, "", target], figures)


def measure(size: int, rounds: int, seconds: float, progress: Progress) -> Measured:
    """Measure the three ways with messages of one size."""
    messages = seal_messages(size)
    check(messages, size)
    turns: dict[str, Turn] = {}
    for name, way in make_ways().items():
        once = cpu_us(len(messages), partial(_work, way, messages))
        count = fitting(seconds / rounds / 3, once)
        batch = (messages * (count // len(messages) + 1))[:count]
        turns[name] = partial(_turn, way, batch)
    return interleave(turns, rounds, progress=progress)


def _at_size(progress: Progress, size: int) -> Progress:
    return lambda text: progress(f"{size} bytes, {text}")


def make_ways() -> dict[str, Way]:
    """Return the contenders by name."""
    return {OURS: make_ours(), FRESH: make_fresh(), OBVIOUS: obvious}


def make_ours() -> Way:
    """Return the way of the server."""
    crypto = WeComCrypto(TOKEN, KEY)

    def ours(sealed: Sealed) -> bytes:
        signature, nonce, encrypted = sealed
        if not crypto.verify(signature, _TIMESTAMP, nonce, encrypted):
            raise ValueError("signature")
        message = crypto.decrypt(encrypted)
        crypto.sign(_TIMESTAMP, nonce, crypto.encrypt(message))
        return message

    return ours


def make_fresh() -> Way:
    """Return the same with two AES objects per message."""
    crypto = FreshCrypto(TOKEN, KEY)

    def fresh(sealed: Sealed) -> bytes:
        signature, nonce, encrypted = sealed
        if not crypto.verify(signature, _TIMESTAMP, nonce, encrypted):
            raise ValueError("signature")
        crypto.renew_decryptor()
        message = crypto.decrypt(encrypted)
        crypto.renew_encryptor()
        crypto.sign(_TIMESTAMP, nonce, crypto.encrypt(message))
        return message

    return fresh


def obvious(sealed: Sealed) -> bytes:
    """Make everything, use it once."""
    timestamp, nonce = _TIMESTAMP.decode(), sealed.nonce.decode()
    crypto = ObviousCrypto(TOKEN, KEY, "")
    message = crypto.decrypt(sealed.signature.decode(), timestamp, nonce, sealed.encrypted.decode())
    crypto.encrypt(message, timestamp, nonce)
    return message


def seal_messages(size: int) -> list[Sealed]:
    """Return distinct messages of so many bytes, each signed with a nonce of its own."""
    crypto = WeComCrypto(TOKEN, KEY)
    sealed = []
    for number in range(_DISTINCT):
        nonce = b"%010d" % number
        encrypted = crypto.encrypt(b'{"msgid":"%08d"}' % number + b"x" * (size - 20))
        sealed.append(Sealed(crypto.sign(_TIMESTAMP, nonce, encrypted).encode(), nonce, encrypted))
    return sealed


def check(messages: Sequence[Sealed], size: int) -> None:
    """Let all contenders open the same messages: they must agree. Raises `AssertionError`."""
    for sealed in messages[:16]:
        opened = {way(sealed) for way in make_ways().values()}
        assert len(opened) == 1
        assert len(opened.pop()) == size


def _turn(way: Way, batch: Sequence[Sealed]) -> dict[str, float]:
    return {FIGURE: cpu_us(len(batch), partial(_work, way, batch))}


def _work(way: Way, batch: Sequence[Sealed]) -> None:
    for sealed in batch:
        way(sealed)
