"""WeCom's side of the envelope: callbacks closed and signed, answers opened and judged, the echo of a URL judged.

Layer 3 (simulate), pure: the time and the nonce come in. Sources: developer.work.weixin.qq.com/document/path/101033
(envelope, URL verification) and 91144 (scheme). A judgement is a list of sentences, empty when all is right; they quote
nothing of what was said.
"""

from urllib.parse import quote

import orjson

from rawbot.errors import ProtocolError
from rawbot.simulate.wecom_messages import JsonObject, is_object
from rawbot.wecom.crypto import WeComCrypto

_BOM = b"\xef\xbb\xbf"
_SAID_NOTHING = (b"", b"success")
"""The documented way to say nothing, and the one that the vendor's own demo has."""

_STATUS_HINTS = {
    400: "it could not read the request: another EncodingAESKey or receive id than the server's, or a proxy that drops "
    "or changes the query; `rawbot doctor wecom` says which step fails",
    401: "it, or a proxy in front of it, asks for a login",
    403: "it found the signature wrong: another token, or a proxy that changes the query (a + that became a space)",
    404: "nothing is served at this path",
    405: "GET is not served at this path",
}


def encode_callback(crypto: WeComCrypto, message: JsonObject, *, timestamp: int, nonce: str) -> tuple[str, bytes]:
    """Return query and body of the POST that brings `message` (doc 101033)."""
    encrypted = crypto.encrypt(orjson.dumps(message))
    return _query(crypto, encrypted, timestamp, nonce), b'{"encrypt":"%b"}' % encrypted


def encode_verification(crypto: WeComCrypto, echo: str, *, timestamp: int, nonce: str) -> tuple[str, bytes]:
    """Return the query of the GET that verifies a URL, and the echostr in it before percent-encoding.

    The echostr is encrypted anew until there is a `+` in it, which is what proxies and frameworks break.
    """
    encrypted = crypto.encrypt(echo.encode())
    while b"+" not in encrypted:
        encrypted = crypto.encrypt(echo.encode())
    query = _query(crypto, encrypted, timestamp, nonce)
    return f"{query}&echostr={quote(encrypted, safe='')}", encrypted


def decode_reply(body: bytes, *, crypto: WeComCrypto, nonce: str) -> tuple[JsonObject | None, list[str]]:
    """Open the answer to a callback that had this nonce: what it says, and what is wrong with its envelope.

    What it says is `{}` when there is nothing to say (an empty body, the word `success`, an encrypted `{}`), and None
    when it cannot be made out. As the platform does, it opens envelopes in which only `encrypt` is right; the rest
    becomes problems.
    """
    if body.strip() in _SAID_NOTHING:
        return {}, []
    envelope, problem = _decode_object(body, "the answer")
    if envelope is None:
        return None, [problem]
    encrypted = envelope.get("encrypt")
    if not isinstance(encrypted, str):
        plain = "msgtype" in envelope or "response_type" in envelope
        return None, ["the answer is not encrypted" if plain else "encrypt is missing from the answer, or no string"]
    problems = _judge_envelope(envelope, encrypted, crypto, nonce)
    try:
        plaintext = crypto.decrypt(encrypted.encode())
    except ProtocolError as error:
        return None, [*problems, f"the answer cannot be decrypted: {error}"]
    reply, problem = _decode_object(plaintext, "the decrypted answer")
    return reply, problems if reply is not None else [*problems, problem]


def judge_echo(status: int, body: bytes, *, echo: str, echostr: bytes) -> str | None:
    """Say what is wrong with the answer to a URL verification, or None: it must be the bare text and nothing else."""
    expected = echo.encode()
    if status != 200:  # noqa: PLR2004 - HTTP's own number is its clearest name
        hint = _STATUS_HINTS.get(status, "it must be 200")
        return f"the answer's status is {status}: {hint}"
    if body == expected:
        return None
    if body.startswith(_BOM):
        return "the answer begins with a byte order mark: send the bare bytes"
    if body.strip() == expected:
        return "there is white space around the answer (a newline, perhaps): send the bare text"
    if body.strip().strip(b"\"'") == expected:
        return "the answer is in quotes: a framework wrote it as JSON; send it as plain text"
    if not body:
        return "the answer is empty: the decrypted echostr must be sent back"
    if body.strip() == echostr:
        return "the echostr came back as it was sent: it must be decrypted"
    if expected in body:
        return "the right text is in the answer, but with more around it: send it alone"
    if body.lstrip()[:1] == b"<":
        return "the answer is a web page, not the decrypted echostr: something else answers at this URL"
    return "the answer is another text: the echostr must be decrypted, with the right key, and sent back"


def _query(crypto: WeComCrypto, encrypted: bytes, timestamp: int, nonce: str) -> str:
    signature = crypto.sign(b"%d" % timestamp, nonce.encode(), encrypted)
    return f"msg_signature={signature}&timestamp={timestamp}&nonce={quote(nonce, safe='')}"


def _decode_object(data: bytes, what: str) -> tuple[JsonObject | None, str]:
    """Return the JSON object, or None and the reason why it is none."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None, f"{what} is not UTF-8"
    try:
        value: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None, f"{what} is not JSON"
    return (value, "") if is_object(value) else (None, f"{what} is not a JSON object")


def _judge_envelope(envelope: JsonObject, encrypted: str, crypto: WeComCrypto, nonce: str) -> list[str]:
    """Judge the three fields beside `encrypt`; all four are mandatory (doc 101033)."""
    problems = []
    timestamp, signature, its_nonce = (envelope.get(name) for name in ("timestamp", "msgsignature", "nonce"))
    if timestamp is None:
        problems.append("timestamp is missing from the answer")
    elif not isinstance(timestamp, int) or isinstance(timestamp, bool):
        problems.append("timestamp is not a whole number in the answer")
    if its_nonce is None:
        problems.append("nonce is missing from the answer")
    elif its_nonce != nonce:
        problems.append("nonce in the answer is not that of the callback")
    if not isinstance(signature, str):
        problems.append("msgsignature is missing from the answer, or no string")
    elif not crypto.verify(signature.encode(), str(timestamp).encode(), str(its_nonce).encode(), encrypted.encode()):
        problems.append("msgsignature in the answer is wrong")
    return problems
