"""WeCom's scheme as a textbook would write it: a second opinion on rawbot/wecom/crypto.py that shares nothing with it.

A fresh AES object for each call, every step by itself. Source: developer.work.weixin.qq.com/document/path/91144.
Run as a program it prints tests/vectors/wecom.json.
"""

import base64
import hashlib
import json
import struct
import sys

from Crypto.Cipher import AES

SOURCE = "made with tests/reference_wecom.py"
TOKEN = "ownVectorToken42"
KEY = "OwnVectorKey0123456789abcdefghijklmnopqrstu"
OTHER_KEY = "OtherVectorKey123456789abcdefghijklmnopqrsA"
PREFIX = b"sixteen of these"


def aes_key(encoding_aes_key: str) -> bytes:
    return base64.b64decode(encoding_aes_key + "=")


def seal(encoding_aes_key: str, padded: bytes) -> str:
    """Encrypt what is padded already, well or badly."""
    key = aes_key(encoding_aes_key)
    return base64.b64encode(AES.new(key, AES.MODE_CBC, key[:16]).encrypt(padded)).decode()


def unseal(encoding_aes_key: str, encrypted: str) -> bytes:
    """Decrypt and leave the padding on."""
    key = aes_key(encoding_aes_key)
    return AES.new(key, AES.MODE_CBC, key[:16]).decrypt(base64.b64decode(encrypted))


def add_padding(frame: bytes) -> bytes:
    count = 32 - len(frame) % 32
    return frame + bytes([count] * count)


def encrypt(encoding_aes_key: str, message: bytes, receive_id: str = "", prefix: bytes = PREFIX) -> str:
    return seal(encoding_aes_key, add_padding(prefix + struct.pack(">I", len(message)) + message + receive_id.encode()))


def decrypt(encoding_aes_key: str, encrypted: str) -> tuple[bytes, bytes, str]:
    """Return the random prefix, the message and the receive id of a good ciphertext."""
    padded = unseal(encoding_aes_key, encrypted)
    frame = padded[: -padded[-1]]
    (length,) = struct.unpack(">I", frame[16:20])
    return frame[:16], frame[20 : 20 + length], frame[20 + length :].decode()


def sign(token: str, timestamp: str, nonce: str, encrypted: str) -> str:
    return hashlib.sha1("".join(sorted([token, timestamp, nonce, encrypted])).encode()).hexdigest()


def _entry(name: str, encrypted: str, **more: object) -> dict:
    timestamp, nonce = "1767225600", "ownnonce"
    fields = {
        "name": f"own_{name}",
        "source": SOURCE,
        "token": TOKEN,
        "encoding_aes_key": KEY,
        "receive_id": "",
        "msg_signature": sign(TOKEN, timestamp, nonce, encrypted),
        "timestamp": timestamp,
        "nonce": nonce,
        "encrypted": encrypted,
    }
    return fields | more


def _good(name: str, plaintext: str, *, receive_id: str = "", prefix: bytes = PREFIX, key: str = KEY) -> dict:
    encrypted = encrypt(key, plaintext.encode(), receive_id, prefix)
    more = {"plaintext": plaintext, "random_b64": base64.b64encode(prefix).decode()}
    return _entry(name, encrypted, encoding_aes_key=key, receive_id=receive_id, **more)


def _bad(name: str, padded: bytes, code: int, *, key: str = KEY, **more: object) -> dict:
    return _entry(name, seal(key, padded), expect=[code], **more)


def _file(size: int) -> dict:
    data = bytes(n * 37 % 256 for n in range(size))
    return {
        "name": f"own_media_{size}",
        "source": SOURCE,
        "encoding_aes_key": KEY,
        "aeskey_b64": base64.b64encode(aes_key(KEY)).decode(),
        "ciphertext_b64": seal(KEY, add_padding(data)),
        "plaintext_b64": base64.b64encode(data).decode(),
        "plaintext_sha256": hashlib.sha256(data).hexdigest(),
    }


def make_vectors() -> dict[str, list[dict]]:
    text = '{"msgid":"own-1","aibotid":"BOT","from":{"userid":"u"},"msgtype":"text","text":{"content":"%s"}}'
    good_frame = add_padding(PREFIX + struct.pack(">I", 2) + b"{}")
    return {
        "vectors": [
            _good("url_verify", "5501234567890123456"),
            _good("text", text % "hello"),
            _good("text_chinese", text % "你好，世界 🙂"),
            _good("stream_refresh", '{"msgid":"own-2","aibotid":"BOT","msgtype":"stream","stream":{"id":"s1"}}'),
            _good("empty_message", ""),
            _good("pad_1", "a" * 11),
            _good("pad_17", "a" * 27),
            _good("pad_32", "a" * 12),
            _good("receive_id", text % "corp", receive_id="ww0123456789abcdef"),
            _good("binary_prefix", "{}", prefix=bytes(range(240, 256))),
            _good("key_not_canonical", "{}", key=KEY[:-1] + "v"),
            _good("zero_key", "{}", key="A" * 43),
        ],
        "negative": [
            _entry("signature", seal(KEY, good_frame), msg_signature="0" * 40, expect=[-40001]),
            _entry("not_base64", "*" + seal(KEY, good_frame)[1:], expect=[-40010]),
            _bad("one_block", good_frame[:16], -40008),
            _bad("not_32", good_frame + bytes([16] * 16), -40008),
            _bad("pad_zero", good_frame[:-1] + b"\0", -40007),
            _bad("pad_33", good_frame[:-1] + b"\x21", -40007),
            _bad("pad_first_byte", good_frame[:22] + b"\x09" + good_frame[23:], -40007),
            _bad("length", add_padding(PREFIX + struct.pack(">I", 3) + b"{}"), -40008),
            _bad("length_signed", add_padding(PREFIX + b"\xff" * 4 + b"{}"), -40008),
            _bad("receive_id", good_frame, -40005, receive_id="ww0123456789abcdef"),
            _bad("receive_id_unwanted", add_padding(PREFIX + struct.pack(">I", 2) + b"{}ww01"), -40005),
            _bad("other_key", good_frame, -40007, key=OTHER_KEY),
        ],
        "bad_keys": [
            {"key": KEY[:-1], "why": "42 characters"},
            {"key": KEY + "a", "why": "44 characters, the last is not ="},
            {"key": KEY + "==", "why": "two ="},
            {"key": KEY[:20] + "+" + KEY[21:], "why": "base64, but neither letter nor digit"},
            {"key": KEY[:20] + " " + KEY[21:], "why": "white space inside"},
            {"key": KEY[:-1] + "é", "why": "a letter outside of ASCII"},
        ],
        "key_twins": [{"a": KEY, "b": KEY[:-1] + "v"}],
        "media": [_file(size) for size in (0, 1, 16, 31, 32, 100)],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(make_vectors(), ensure_ascii=False, indent=1) + "\n")
