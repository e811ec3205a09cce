"""rawbot/wecom/media.py against vectors, in three feedings, and against files that are cut short or forged."""

from base64 import b64decode
from collections.abc import Iterable
from hashlib import sha256
from itertools import pairwise

import pytest
from Crypto.Cipher import AES
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shared_vectors import all_vectors

from rawbot.event import Attachment
from rawbot.wecom.crypto import DECRYPT_ERROR, FRAME_ERROR, CryptoError, decode_key
from rawbot.wecom.media import MEDIA_LIFETIME, MediaDecoder, WeComAttachment, encode_media

KEY = bytes(range(32))
VECTORS = all_vectors("wecom", "media")


def feed(pieces: Iterable[bytes], key: bytes = KEY) -> bytes:
    decoder = MediaDecoder(key)
    return b"".join([*map(decoder.update, pieces), decoder.finish()])


def seal(padded: bytes) -> bytes:
    return AES.new(KEY, AES.MODE_CBC, KEY[:16]).encrypt(padded)


def test_a_file_of_our_own_making_opens_as_the_textbook_says():
    # source: NIST SP 800-38A, F.2.5 (CBC-AES256), with its IV in place of key[:16], of which only the first block knows
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    iv = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
    plain = bytes.fromhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
    cipher = bytes.fromhex("f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d")
    corrected = bytes(p ^ i ^ k for p, i, k in zip(plain, iv, key[:16], strict=False)) + plain[16:]
    assert encode_media(corrected, key)[:32] == cipher


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_files_made_by_others_open(vector: dict[str, str], step: int):
    key = decode_key(vector["encoding_aes_key"])
    assert key == b64decode(vector["aeskey_b64"])
    ciphertext = b64decode(vector["ciphertext_b64"])
    plain = feed([ciphertext[at : at + step] for at in range(0, len(ciphertext), step)], key)
    assert plain == b64decode(vector["plaintext_b64"])
    assert sha256(plain).hexdigest() == vector["plaintext_sha256"]
    assert encode_media(plain, key) == ciphertext


@pytest.mark.parametrize("size", [0, 1, 15, 16, 31, 32, 33, 63, 64, 1000])
def test_whole_and_byte_by_byte_give_the_same_file(size: int):
    data = bytes(n % 251 for n in range(size))
    ciphertext = encode_media(data, KEY)
    assert len(ciphertext) % 32 == 0
    assert 1 <= len(ciphertext) - size <= 32
    assert feed([ciphertext]) == data
    assert feed([bytes((byte,)) for byte in ciphertext]) == data


@settings(deadline=None, max_examples=60)
@given(data=st.binary(max_size=300), cuts=st.lists(st.integers(0, 332), max_size=8))
@example(data=b"", cuts=[0, 0, 32])
def test_torn_anywhere_it_is_the_same_file(data: bytes, cuts: list[int]):
    ciphertext = encode_media(data, KEY)
    edges = [0, *sorted(cuts), len(ciphertext)]
    assert feed([ciphertext[a:b] for a, b in pairwise(edges)]) == data


def test_the_last_unit_is_held_back_since_it_may_be_padding():
    decoder = MediaDecoder(KEY)
    ciphertext = encode_media(bytes(64), KEY)
    assert decoder.update(ciphertext[:32]) == b""
    assert decoder.update(ciphertext[32:64]) == bytes(32)
    assert decoder.update(ciphertext[64:]) == bytes(32)
    assert decoder.finish() == b""


@pytest.mark.parametrize("size", [0, 1, 16, 31, 33, 48, 95])
def test_a_length_that_is_not_a_multiple_of_32_is_a_cut_file(size: int):
    with pytest.raises(CryptoError, match="cut short") as caught:
        feed([encode_media(bytes(70), KEY)[:size]])
    assert caught.value.code == FRAME_ERROR


def test_a_file_cut_at_a_whole_unit_is_known_by_its_padding():
    with pytest.raises(CryptoError, match="padding") as caught:
        feed([encode_media(bytes(70), KEY)[:64]])
    assert caught.value.code == DECRYPT_ERROR


@pytest.mark.parametrize(
    "tail",
    [bytes(32), b"\x21" * 32, bytes(28) + b"\x04\x04\x05\x04", bytes(31) + b"\xff", b"\x1f" + b"\x20" * 31],
    ids=["zero", "thirty-three", "one byte differs", "255", "the first of 32 differs"],
)
def test_every_byte_of_the_padding_is_looked_at(tail: bytes):
    with pytest.raises(CryptoError, match="padding"):
        feed([seal(bytes(32) + tail)])


def test_another_key_does_not_open_it():
    with pytest.raises(CryptoError):
        feed([encode_media(bytes(100), KEY)], bytes(32))


def test_an_attachment_opens_its_file_as_often_as_asked():
    attachment = WeComAttachment(
        "file", "https://x.example/f?sign=s", key=KEY, expires_at=1e9 + MEDIA_LIFETIME, name="a"
    )
    assert isinstance(attachment, Attachment)
    assert (attachment.kind, attachment.name, attachment.expires_at) == ("file", "a", 1e9 + 300)
    for _ in range(2):
        decoder = attachment.decoder()
        assert decoder.update(encode_media(b"hello", KEY)) + decoder.finish() == b"hello"


def test_neither_key_nor_url_is_shown():
    key = b"0123456789abcdef0123456789abcdef"
    attachment = WeComAttachment("image", "https://x.example/f?sign=s", key=key, expires_at=0)
    assert repr(attachment) == "<WeComAttachment image>"
    assert "0123" not in repr(attachment.decoder())
