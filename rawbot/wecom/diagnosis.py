"""Why a captured WeCom request fails, step by step: the pure core of `rawbot doctor wecom`.

Layer 3, the WeCom wing. The door tells a peer nothing but 403 or 400; this tells the operator, who has token and key
anyway, what the door would not. It keeps out clock, files and printing, and its sentences keep out token, key and the
decrypted message, so that they can be pasted into a bug report.

"failed" means that rawbot refuses the request for this, "warning" that it accepts it although something is odd. Facts:
developer.work.weixin.qq.com/document/path/101033 and 91144; the mistakes are those that users of such servers report.
"""

import binascii
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Literal
from urllib.parse import unquote

import orjson
from Crypto.Cipher import AES

from rawbot.errors import ConfigError, ProtocolError
from rawbot.wecom.crypto import CryptoError, ReceiveId, WeComCrypto, decode_key, unpad
from rawbot.wecom.envelope import decode_envelope
from rawbot.wecom.messages import UnknownEvent, decode_message

Verdict = Literal["ok", "warning", "failed", "skipped"]

PLAUSIBLE_AGE = 600.0
"""Seconds by which timestamp and clock may differ before it is mentioned."""


@dataclass(slots=True)
class Step:
    """One step of the way in: its name, what came of it, and a sentence that says what to do."""

    name: str
    verdict: Verdict
    detail: str


def diagnose(
    *,
    token: str,
    encoding_aes_key: str,
    receive_id: ReceiveId = "",
    url: str,
    body: bytes | None = None,
    now: float | None = None,
) -> list[Step]:
    """Walk a captured request through every step of the way in; those behind the first that failed are skipped.

    `url` is the whole URL or the request's target; `body` that of a POST, None for the verification of a URL.
    `now`, Unix seconds, is what the timestamp is compared with. Raises nothing, whatever it is given.
    """
    walk = _Walk(token, encoding_aes_key, receive_id, url, body, now)
    steps: list[Step] = []
    over = False
    for name, check in _STEPS:
        step = Step(name, *(_SKIPPED if over else check(walk)))
        steps.append(step)
        over = over or step.verdict == "failed"
    return steps


@dataclass(slots=True, repr=False)
class _Walk:
    """What was given, and what the steps so far have made of it."""

    token: str
    encoding_aes_key: str
    receive_id: ReceiveId
    url: str
    body: bytes | None
    now: float | None
    key: bytes = b""
    raw_query: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    encrypted: str = ""
    ciphertext: bytes = b""
    frame: bytes = b""
    message: bytes = b""


_Finding = tuple[Verdict, str]

_SKIPPED: _Finding = ("skipped", "An earlier step failed.")
_TOKEN_LENGTH = 32
_KEY_LENGTH = 43
_HEADER = 20
_NEEDED = ("msg_signature", "timestamp", "nonce")


def _check_token(walk: _Walk) -> _Finding:
    token = walk.token.strip()
    if not token:
        return "failed", "The token is empty: copy it from the bot's page in the admin console."
    if not token.isascii():
        return "failed", "The token holds a character that is not ASCII: copy it from the admin console again."
    if len(token) == _KEY_LENGTH:
        return "warning", "The token is as long as an EncodingAESKey: see whether the two were swapped."
    if not token.isalnum() or len(token) > _TOKEN_LENGTH:
        return "warning", "A token has at most 32 letters and digits and this one differs: copy it again."
    if token != walk.token:
        return "warning", "White space around the token is ignored: take it out of the setting."
    return "ok", "The token is well-formed."


def _check_key(walk: _Walk) -> _Finding:
    text = walk.encoding_aes_key.strip()
    try:
        walk.key = decode_key(text)
    except ConfigError:
        if len(text) != _KEY_LENGTH:
            return "failed", f"The EncodingAESKey has {len(text)} characters in place of 43: copy the whole of it."
        return "failed", "The EncodingAESKey holds something else than letters and digits: copy it again."
    if text != walk.encoding_aes_key:
        return "warning", "White space around the EncodingAESKey is ignored: take it out of the setting."
    if len(text) > _KEY_LENGTH:
        return "warning", "The EncodingAESKey ends in a 44th character '=', which is ignored: take it off."
    if b2a_base64(walk.key)[:_KEY_LENGTH] != text.encode():
        return "ok", "The EncodingAESKey is well-formed; its last character is one that strict base64 decoders refuse."
    return "ok", "The EncodingAESKey is well-formed."


def _check_url(walk: _Walk) -> _Finding:
    url = walk.url.strip().strip("\"'")
    path, mark, query = url.partition("?")
    query = (query if mark else path).partition("#")[0]
    if not url.isascii():
        return "failed", "The URL holds characters that are not ASCII: capture the request line as it was sent."
    if "=" not in query:
        return "failed", "The URL has no query: capture all of it, and put it in quotes for the shell."
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name in walk.query:
            which = name if name in (*_NEEDED, "echostr") else "A parameter"
            return "failed", f"{which} is given twice: see which proxy or route adds to the query."
        walk.raw_query[name] = value
        walk.query[name] = unquote(value)
    if url != walk.url:
        return "warning", "White space or quotes around the URL were taken off."
    return "ok", "The URL has a query."


def _check_parameters(walk: _Walk) -> _Finding:
    missing = [name for name in _NEEDED if not walk.query.get(name)]
    if not missing:
        return "ok", "msg_signature, timestamp and nonce are there."
    if any(name.startswith("amp;") for name in walk.query):
        return "failed", "The URL holds '&amp;' for '&': it was copied from HTML, or something escaped it on the way."
    if len(walk.query) == 1:
        return "failed", "The URL ends behind its first parameter: put it in quotes, for the shell cuts it at '&'."
    if "signature" in walk.query and "msg_signature" in missing:
        return "failed", "signature is there for msg_signature: the URL is an official account's, not an AI bot's."
    if misspelt := _find_misspelt(walk, missing[0]):
        return "failed", misspelt
    return "failed", f"The parameter {missing[0]} is missing or empty: see what takes it out on the way."


def _find_misspelt(walk: _Walk, wanted: str) -> str | None:
    for name in walk.query:  # one that is found has the wanted one's letters, so it may be shown
        if "".join(c for c in name.lower() if c.isalnum()) == wanted.replace("_", "") and name != wanted:
            return f"{wanted} is spelt {name!r}: find out what renames parameters on the way."
    return None


def _check_payload(walk: _Walk) -> _Finding:
    if walk.body is None:
        return _check_echostr(walk)
    try:
        walk.encrypted = decode_envelope(walk.body).decode()
    except ProtocolError:
        return "failed", _why_no_envelope(walk.body)
    envelope = orjson.loads(walk.body)
    if "msgsignature" in envelope:
        return "warning", "The body holds msgsignature, so it is an answer of a bot and not a callback."
    if not envelope.get("encrypt"):
        return "warning", "The field is spelt Encrypt, as official accounts do: see whether this is the right app."
    if "echostr" in walk.query:
        return "warning", "The URL has an echostr although there is a body: leave the body out to verify the URL."
    return "ok", "The body is a JSON object with the field encrypt."


def _check_echostr(walk: _Walk) -> _Finding:
    echostr = walk.query.get("echostr", "")
    if not echostr:
        neither = "There is neither an echostr nor a body: for a POST, give its body as well."
        return "failed", _find_misspelt(walk, "echostr") or neither
    walk.encrypted = echostr.replace(" ", "+")
    if walk.encrypted != echostr:
        return (
            "warning",
            "echostr has blanks for '+', from form decoding in a proxy, say: rawbot mends it, others fail.",
        )
    if "+" in walk.raw_query["echostr"]:
        return "warning", "echostr has a bare '+', so a proxy un-escaped %2B: rawbot takes it, form decoding spoils it."
    if "%" in echostr:
        return "warning", "echostr still has '%' after decoding: it was percent-encoded twice on the way."
    return "ok", "There is an echostr, so this verifies the URL."


def _why_no_envelope(body: bytes) -> str:
    text = body.strip()
    if not text:
        return "The body is empty: capture it whole, and see whether a proxy drops it."
    if text.startswith(b"\xef\xbb\xbf"):
        return "The body begins with a byte order mark, which JSON forbids: save it, or pass it on, without."
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "The body is UTF-16: save it, or pass it on, as the bytes that came."
    if text.startswith(b"<"):
        if b"<Encrypt>" in text:
            return "The body is the XML of another kind of app: an AI bot's callback is JSON, so check where it is set."
        return "The body is HTML or XML: it does not come from an AI bot, or a proxy put its own page there."
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return "The body is not JSON: capture it whole, and pass it on as the bytes that came."
    if isinstance(value, str):
        return "The body is JSON inside of a quoted JSON string: something encoded it a second time."
    if not isinstance(value, dict):
        return "The body is JSON but not an object: it does not come from WeCom."
    if "msgtype" in value:
        return "The body is a message that is not encrypted: it does not come from WeCom, or was decrypted on the way."
    return "The body has no field encrypt with a text: it does not come from WeCom, or was rewritten on the way."


def _check_timestamp(walk: _Walk) -> _Finding:
    text = walk.query["timestamp"]
    if not text.isdecimal() or len(text) > len("1767225600000"):
        return "warning", "The timestamp is not a number of seconds: see what rewrote it."
    if walk.now is None:
        return "skipped", "No time was given to compare the timestamp with."
    age = walk.now - int(text)
    if abs(age) <= PLAUSIBLE_AGE:
        return "ok", "The timestamp is close to this machine's clock."
    nonce = walk.query["nonce"]
    if nonce.isdecimal() and len(nonce) == len("1767225600") and abs(walk.now - int(nonce)) <= PLAUSIBLE_AGE:
        return "warning", "The nonce is the time of day: timestamp and nonce were swapped, which no signature notices."
    if abs(walk.now - int(text) / 1000) <= PLAUSIBLE_AGE:
        return "warning", "The timestamp counts milliseconds: the platform sends seconds."
    if age < 0:
        return "warning", f"The timestamp lies {-age / 60:.0f} minutes ahead: set this machine's clock."
    return "warning", f"The timestamp is {age / 60:.0f} minutes old: an old capture, or this machine's clock is fast."


def _check_signature(walk: _Walk) -> _Finding:
    crypto = WeComCrypto(walk.token, walk.encoding_aes_key)
    signature, timestamp, nonce = (walk.query[name].encode() for name in _NEEDED)
    if crypto.verify(signature, timestamp, nonce, walk.encrypted.encode()):
        return "ok", "The signature is right, so the token is."
    return "failed", next(_why_signature(walk))


def _why_signature(walk: _Walk) -> Iterator[str]:
    """Yield what would explain the signature, the surest reason first."""
    given, token, encrypted = walk.query["msg_signature"], walk.token.strip(), walk.encrypted
    name = "echostr" if walk.body is None else "encrypt"
    if _sign(walk, token, encrypted) == given.strip().lower():
        yield "The signature is right but for upper case or white space: find out what rewrites it on the way."
    for variant, sentence in (
        (encrypted.replace(" ", "+"), f"The signature fits when blanks in {name} are '+': the body was form-decoded."),
        (unquote(encrypted), f"The signature fits when {name} is percent-decoded once more: see what encodes it."),
        ("".join(encrypted.split()), f"The signature fits without the white space in {name}: see what adds it."),
        ("", "That is the three-field signature of an official account's plain mode, not an AI bot's."),
    ):
        if _sign(walk, token, variant) == given:
            yield sentence
    if _sign(walk, walk.token, encrypted) == given:
        yield "The signature fits the token with the white space around it: the sender must take that off."
    if _sign(walk, "".join(token.split()), encrypted) == given:
        yield "The signature fits the token without the white space inside: correct the setting."
    if len(given) != sha1(usedforsecurity=False).digest_size * 2:
        yield f"msg_signature has {len(given)} characters in place of 40: it was cut or rewritten on the way."
    if _opens(walk):
        yield "The key opens the message but the signature differs: copy the token from the admin console again."
    yield "Neither signature nor key fits: token and EncodingAESKey belong to another bot, or the data was altered."


def _sign(walk: _Walk, token: str, encrypted: str) -> str:
    """Sign as `WeComCrypto` does, but with any token: here nothing is granted for a signature that fits."""
    parts = (part.encode() for part in (token, walk.query["timestamp"], walk.query["nonce"], encrypted))
    return sha1(b"".join(sorted(parts)), usedforsecurity=False).hexdigest()


def _opens(walk: _Walk) -> bool:
    try:
        WeComCrypto(walk.token, walk.encoding_aes_key, receive_id=None).decrypt(walk.encrypted.encode())
    except CryptoError:
        return False
    return True


def _check_base64(walk: _Walk) -> _Finding:
    try:
        walk.ciphertext = a2b_base64(walk.encrypted.encode(), strict_mode=True)
    except binascii.Error:
        if "-" in walk.encrypted or "_" in walk.encrypted:
            return "failed", "The ciphertext is URL-safe base64: the sender must use the alphabet with '+' and '/'."
        return "failed", "The ciphertext was signed but is not base64: the sender is not WeCom, or encodes it wrongly."
    return "ok", "The ciphertext is base64."


def _check_length(walk: _Walk) -> _Finding:
    size = len(walk.ciphertext)
    if size and not size % 32:
        return "ok", f"The ciphertext has {size} bytes, a multiple of 32."
    if size and not size % AES.block_size:
        return "failed", f"The ciphertext has {size} bytes, no multiple of 32: the sender pads to 16, WeCom to 32."
    return "failed", f"The ciphertext has {size} bytes, no multiple of 32: the sender is not WeCom."


def _check_padding(walk: _Walk) -> _Finding:
    padded = AES.new(walk.key, AES.MODE_CBC, walk.key[: AES.block_size]).decrypt(walk.ciphertext)
    try:
        walk.frame = unpad(padded)
    except CryptoError:
        return "failed", "The key does not open it although the token is right: copy the EncodingAESKey again."
    return "ok", "The key opens it: the padding is right."


def _check_frame(walk: _Walk) -> _Finding:
    end = _HEADER + int.from_bytes(walk.frame[_HEADER - 4 : _HEADER], "big")
    if end > len(walk.frame):
        return "failed", "The frame is shorter than it says: probably another key's, so copy the EncodingAESKey again."
    walk.message = walk.frame[_HEADER:end]
    return "ok", f"The frame holds a message of {len(walk.message)} bytes."


def _check_receive_id(walk: _Walk) -> _Finding:
    found = walk.frame[_HEADER + len(walk.message) :]
    wanted = (walk.receive_id,) if isinstance(walk.receive_id, str) else walk.receive_id
    if wanted is None:
        return "ok", f"Any receive id is accepted; this one has {len(found)} bytes."
    text = found.decode("utf-8", "replace")
    if text in wanted:
        return "ok", "The receive id is the expected one."
    if not found:
        return "failed", "The frame ends without an id, as for a company's own bot: set receive_id to the empty string."
    if "\ufffd" in text or not text.isprintable():
        return "failed", "What stands for the receive id is no text: copy the EncodingAESKey again."
    if text.strip().lower() in [i.strip().lower() for i in wanted]:
        return "failed", "The receive id differs from the setting in white space or case alone: correct receive_id."
    shown = f"{len(text)} characters that begin with {text[:2]!r}"
    return "failed", f"The receive id has {shown}: set receive_id to the corp, suite or app id that looks like this."


def _check_text(walk: _Walk) -> _Finding:
    if walk.body is None:
        return "skipped", "The verification of a URL carries no message."
    try:
        walk.message.decode()
    except UnicodeDecodeError:
        return "failed", "The message is not UTF-8: the sender is not WeCom."
    return "ok", "The message is UTF-8."


def _check_message(walk: _Walk) -> _Finding:
    if walk.body is None:
        return "skipped", "The verification of a URL carries no message."
    try:
        message = decode_message(walk.message)
    except ProtocolError as error:  # its text has field names in it and no values
        if walk.message.startswith(b"<"):
            return "failed", "The message is XML, as other kinds of apps get it: check where this URL is configured."
        return "failed", f"The message cannot be used, for {error}: the sender is not an AI bot's callback."
    if isinstance(message, UnknownEvent):
        return "warning", "The message is of a kind that rawbot does not know: it is acknowledged with an empty 200."
    kind = message.raw["event"]["eventtype"] if message.raw["msgtype"] == "event" else message.raw["msgtype"]
    return "ok", f"The message is of the kind {kind} and has {len(walk.message)} bytes."


def _check_answer(walk: _Walk) -> _Finding:
    if walk.body is not None:
        return "ok", "Answer 200 with an encrypted reply or an empty body."
    size, text = len(walk.message), walk.message.decode("ascii", "replace")
    if size > _KEY_LENGTH or not (text.isascii() and text.isalnum()):  # no challenge, and so not to be shown
        return "warning", f"Answer 200 with the {size} decrypted bytes; WeCom's echostr is a plain number, this is not."
    return "ok", f"Answer 200 with exactly these {size} bytes, without quotes, BOM or newline: {text}"


_STEPS: tuple[tuple[str, Callable[[_Walk], _Finding]], ...] = (
    ("token", _check_token),
    ("encoding_aes_key", _check_key),
    ("url", _check_url),
    ("parameters", _check_parameters),
    ("payload", _check_payload),
    ("timestamp", _check_timestamp),
    ("signature", _check_signature),
    ("base64", _check_base64),
    ("length", _check_length),
    ("padding", _check_padding),
    ("frame", _check_frame),
    ("receive_id", _check_receive_id),
    ("text", _check_text),
    ("message", _check_message),
    ("answer", _check_answer),
)
