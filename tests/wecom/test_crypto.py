"""rawbot/wecom/crypto.py against vectors, against the textbook, and against whatever a peer may send."""

import base64
import os
from collections.abc import Callable

import pytest
import reference_wecom as reference
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shared_vectors import all_vectors, own_vectors

from rawbot.errors import ConfigError
from rawbot.wecom import crypto as crypto_module
from rawbot.wecom.crypto import (
    BASE64_ERROR,
    DECRYPT_ERROR,
    FRAME_ERROR,
    RECEIVE_ID_ERROR,
    SIGNATURE_ERROR,
    CryptoError,
    WeComCrypto,
    decode_key,
    pad,
    unpad,
)

VECTORS = all_vectors("wecom", "vectors", "encrypt_only", "generated")
SIGNED = [vector for vector in VECTORS if vector["msg_signature"]]
NEGATIVE = [vector for vector in all_vectors("wecom", "negative") if vector["name"] != "not_json"]  # the codec's matter
CODES = {BASE64_ERROR, DECRYPT_ERROR, FRAME_ERROR, RECEIVE_ID_ERROR}

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
KEYS = st.text(ALPHABET, min_size=43, max_size=43)
MESSAGES = st.binary(max_size=100)
PREFIXES = st.binary(min_size=16, max_size=16)
JUNK = st.binary(max_size=80) | st.binary(max_size=80).map(base64.b64encode)

KEY, TOKEN = reference.KEY, reference.TOKEN


def name(vector: dict) -> str:
    return vector["name"]


def crypto_for(vector: dict) -> WeComCrypto:
    token = vector["token"] or "any"  # the vectors without a token have no signature
    return WeComCrypto(token, vector["encoding_aes_key"], receive_id=vector["receive_id"])


def open_vector(crypto: WeComCrypto, vector: dict) -> bytes:
    """Verify first, then decrypt, as a door does."""
    fields = [vector[key].encode() for key in ("msg_signature", "timestamp", "nonce", "encrypted")]
    if not crypto.verify(*fields):
        raise CryptoError("wrong signature", code=SIGNATURE_ERROR)
    return crypto.decrypt(fields[3])


def code_of(crypto: WeComCrypto, encrypted: bytes) -> int | None:
    with pytest.raises(CryptoError) as caught:
        crypto.decrypt(encrypted)
    return caught.value.code


def test_our_own_vectors_are_what_the_reference_makes():
    assert own_vectors("wecom") == reference.make_vectors()


@pytest.mark.parametrize("vector", VECTORS, ids=name)
def test_a_vector_decrypts(vector: dict):
    assert crypto_for(vector).decrypt(vector["encrypted"].encode()) == vector["plaintext"].encode()


@pytest.mark.parametrize("vector", VECTORS, ids=name)
def test_a_vector_is_encrypted_again_byte_for_byte(vector: dict):
    crypto = crypto_for(vector)
    random = base64.b64decode(vector["random_b64"])
    for _ in range(2):  # the second time the cipher has run on
        assert crypto.encrypt(vector["plaintext"].encode(), random=random) == vector["encrypted"].encode()


@pytest.mark.parametrize("vector", SIGNED, ids=name)
def test_a_vector_s_signature_is_verified_and_made(vector: dict):
    crypto = crypto_for(vector)
    timestamp, nonce, encrypted = (vector[key].encode() for key in ("timestamp", "nonce", "encrypted"))
    assert crypto.verify(vector["msg_signature"].encode(), timestamp, nonce, encrypted)
    assert crypto.sign(timestamp, nonce, encrypted) == vector["msg_signature"]
    assert not crypto.verify(vector["msg_signature"].encode(), timestamp, nonce + b"0", encrypted)


@pytest.mark.parametrize("vector", NEGATIVE, ids=name)
def test_a_negative_vector_is_refused_with_an_acceptable_code(vector: dict):
    with pytest.raises(CryptoError) as caught:
        open_vector(crypto_for(vector), vector)
    assert caught.value.code in vector["expect"]
    assert caught.value.status == 400


def test_one_crypto_opens_every_vector_of_its_key_in_turn():
    good = [vector for vector in VECTORS if vector["encoding_aes_key"] == KEY and not vector["receive_id"]]
    crypto = WeComCrypto(TOKEN, KEY)
    assert len(good) > 5
    for vector in good + NEGATIVE[:5] + good[::-1]:
        if "expect" in vector:
            with pytest.raises(CryptoError):
                crypto.decrypt(vector["encrypted"].encode()[:-1])
        else:
            assert crypto.decrypt(vector["encrypted"].encode()) == vector["plaintext"].encode()


@pytest.mark.parametrize("bad", all_vectors("wecom", "bad_keys"), ids=lambda bad: bad["why"])
def test_a_bad_key_is_refused_when_the_object_is_made_and_not_repeated(bad: dict):
    with pytest.raises(ConfigError) as caught:
        WeComCrypto(TOKEN, bad["key"])
    assert not bad["key"] or bad["key"] not in str(caught.value)


@pytest.mark.parametrize("twins", all_vectors("wecom", "key_twins"))
def test_key_texts_that_differ_in_spare_bits_are_one_key(twins: dict):
    assert decode_key(twins["a"]) == decode_key(twins["b"])
    assert WeComCrypto(TOKEN, twins["a"]).decrypt(WeComCrypto(TOKEN, twins["b"]).encrypt(b"hi")) == b"hi"


@pytest.mark.parametrize("text", [KEY + "=", f" {KEY}\n", f"\t{KEY}= "])
def test_a_key_may_have_white_space_around_it_and_a_44th_equals_sign(text: str):
    assert decode_key(text) == decode_key(KEY) == WeComCrypto(TOKEN, text).key == reference.aes_key(KEY)


@pytest.mark.parametrize("token", ["", " ", "\n"])
def test_an_empty_token_is_refused(token: str):
    with pytest.raises(ConfigError):
        WeComCrypto(token, KEY)


def test_white_space_around_the_token_does_not_count():
    assert WeComCrypto(f" {TOKEN}\n", KEY).sign(b"1", b"2", b"3") == reference.sign(TOKEN, "1", "2", "3")


@given(st.lists(st.text(ALPHABET, max_size=8), min_size=4, max_size=4))
@settings(deadline=None, max_examples=50)
def test_the_signature_is_the_textbook_s(fields: list[str]):
    token, *rest = fields
    crypto = WeComCrypto(token or "t", KEY)
    signature = reference.sign(token or "t", *rest)
    parts = [part.encode() for part in rest]
    assert crypto.sign(*parts) == signature
    assert crypto.verify(signature.encode(), *parts)
    assert not crypto.verify(signature.upper().encode(), *parts) or signature.isdigit()
    assert not crypto.verify(signature[:-1].encode(), *parts)
    assert not crypto.verify(b"", *parts)


@given(KEYS, st.text(max_size=20), st.lists(st.tuples(MESSAGES, PREFIXES, JUNK), min_size=1, max_size=6))
@settings(deadline=None, max_examples=150)
def test_running_ciphers_equal_fresh_ones_whatever_they_worked_on_before(
    key: str, receive_id: str, rounds: list[tuple[bytes, bytes, bytes]]
):
    crypto = WeComCrypto(TOKEN, key, receive_id=receive_id)
    for message, prefix, junk in rounds:
        try:
            crypto.decrypt(junk)
        except CryptoError as error:
            assert error.code in CODES  # noqa: PT017 - junk is refused now and then: only the kind of refusal matters
        assert crypto.decrypt(reference.encrypt(key, message, receive_id, prefix).encode()) == message
        assert crypto.encrypt(message, random=prefix).decode() == reference.encrypt(key, message, receive_id, prefix)
        assert reference.decrypt(key, crypto.encrypt(message).decode())[1:] == (message, receive_id)


@pytest.mark.parametrize("receive_id", ["", "ww0123456789abcdef"])
def test_every_length_of_message_makes_the_round_trip(receive_id: str):
    crypto = WeComCrypto(TOKEN, KEY, receive_id=receive_id)
    for length in (*range(100), 20_480, 1_000_000):
        message = os.urandom(length)
        encrypted = crypto.encrypt(message)
        assert crypto.decrypt(encrypted) == message
        assert reference.decrypt(KEY, encrypted.decode())[1:] == (message, receive_id)


def test_equal_messages_are_encrypted_differently_each_time():
    crypto = WeComCrypto(TOKEN, KEY)
    ciphertexts = [crypto.encrypt(b"the same").decode() for _ in range(1000)]
    assert len({reference.decrypt(KEY, text)[0] for text in ciphertexts}) == len(ciphertexts)
    assert len({base64.b64decode(text)[16:] for text in ciphertexts}) == len(ciphertexts)


@given(st.text(max_size=20), st.lists(MESSAGES, unique=True, max_size=6), MESSAGES)
@settings(deadline=None, max_examples=100)
def test_what_is_encrypted_ahead_is_what_would_be_and_is_given_once(
    receive_id: str, messages: list[bytes], between: bytes
):
    crypto = WeComCrypto(TOKEN, KEY, receive_id=receive_id)
    crypto.encrypt_ahead([b"never asked for"])
    crypto.encrypt_ahead(messages)
    assert crypto.take_ahead(b"never asked for") is None
    said = [crypto.encrypt(between)]
    for message in messages:
        encrypted = crypto.take_ahead(message)
        assert reference.decrypt(KEY, encrypted.decode())[1:] == (message, receive_id)
        assert crypto.take_ahead(message) is None
        said += encrypted, crypto.encrypt(between)
    assert len({reference.decrypt(KEY, text.decode())[0] for text in said}) == len(said), "a prefix twice"


@given(st.lists(MESSAGES, min_size=1, unique=True, max_size=6), MESSAGES, PREFIXES)
@settings(deadline=None, max_examples=50)
def test_after_encrypting_ahead_the_running_cipher_still_equals_a_fresh_one(
    messages: list[bytes], message: bytes, prefix: bytes
):
    crypto = WeComCrypto(TOKEN, KEY)
    for _ in range(2):
        crypto.encrypt_ahead(messages)
        assert crypto.encrypt(message, random=prefix).decode() == reference.encrypt(KEY, message, "", prefix)


def test_entropy_is_taken_once_and_decides_all_prefixes():
    asked: list[int] = []

    def entropy(count: int) -> bytes:
        asked.append(count)
        return bytes(count)

    first, again = (WeComCrypto(TOKEN, KEY, entropy=entropy) for _ in range(2))
    other = WeComCrypto(TOKEN, KEY, entropy=lambda count: b"\1" * count)
    texts = [first.encrypt(b"x") for _ in range(3)]
    assert asked == [16, 16]
    assert texts == [again.encrypt(b"x") for _ in range(3)]
    assert other.encrypt(b"x") not in texts
    assert WeComCrypto(TOKEN, KEY).encrypt(b"x") != WeComCrypto(TOKEN, KEY).encrypt(b"x")


def test_a_message_for_another_receive_id_is_refused():
    to_corp = reference.encrypt(KEY, b"{}", "ww1").encode()
    to_nobody = reference.encrypt(KEY, b"{}").encode()
    assert WeComCrypto(TOKEN, KEY, receive_id="ww1").decrypt(to_corp) == b"{}"
    assert code_of(WeComCrypto(TOKEN, KEY), to_corp) == RECEIVE_ID_ERROR
    assert code_of(WeComCrypto(TOKEN, KEY, receive_id="ww1"), to_nobody) == RECEIVE_ID_ERROR
    assert code_of(WeComCrypto(TOKEN, KEY, receive_id="ww"), to_corp) == RECEIVE_ID_ERROR


def test_several_receive_ids_are_accepted_and_the_first_is_written():
    crypto = WeComCrypto(TOKEN, KEY, receive_id=["ww1", ""])
    for receive_id in ("ww1", ""):
        assert crypto.decrypt(reference.encrypt(KEY, b"{}", receive_id).encode()) == b"{}"
    assert code_of(crypto, reference.encrypt(KEY, b"{}", "ww2").encode()) == RECEIVE_ID_ERROR
    assert reference.decrypt(KEY, crypto.encrypt(b"{}").decode())[2] == "ww1"


def test_none_accepts_any_receive_id_and_writes_none():
    crypto = WeComCrypto(TOKEN, KEY, receive_id=None)
    for receive_id in ("ww1", "", "ww2"):
        assert crypto.decrypt(reference.encrypt(KEY, b"{}", receive_id).encode()) == b"{}"
    assert reference.decrypt(KEY, crypto.encrypt(b"{}").decode())[2] == ""


def test_an_empty_list_of_receive_ids_is_refused():
    with pytest.raises(ConfigError):
        WeComCrypto(TOKEN, KEY, receive_id=[])


def test_repr_tells_neither_token_nor_key():
    crypto = WeComCrypto(TOKEN, KEY, receive_id="ww1")
    assert repr(crypto) == str(crypto) == "<WeComCrypto>"


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=50)
def test_padding_makes_the_round_trip_and_fills_32(data: bytes):
    padded = pad(data)
    assert padded == reference.add_padding(data)
    assert unpad(padded) == data


@pytest.mark.parametrize("padded", [b"", b"\0", b"\1\2", b"a" * 31 + b"\x21", b"\x21" * 64, b"\2", b"ab\3\2\3"])
def test_bad_padding_is_refused(padded: bytes):
    with pytest.raises(CryptoError) as caught:
        unpad(padded)
    assert caught.value.code == DECRYPT_ERROR


@pytest.mark.parametrize("spoil", [lambda t: t + b"\n", lambda t: b" " + t, lambda t: t[:8] + b"*" + t[8:]])
def test_base64_is_strict_and_skips_nothing(spoil: Callable[[bytes], bytes]):
    encrypted = reference.encrypt(KEY, b"{}").encode()
    assert code_of(WeComCrypto(TOKEN, KEY), spoil(encrypted)) == BASE64_ERROR


@given(st.binary(max_size=300) | JUNK)
@example(b"\xff\xff\xff\xff")
@example(b"AAAA")
@example(b"AA==")
@settings(deadline=None, max_examples=200)
def test_random_ciphertexts_raise_nothing_but_crypto_errors(junk: bytes):
    assert code_of(WeComCrypto(TOKEN, KEY), junk) in CODES


@given(MESSAGES, st.data())
@settings(deadline=None, max_examples=200)
def test_mutated_ciphertexts_raise_nothing_but_crypto_errors(message: bytes, data: st.DataObject):
    ciphertext = bytearray(base64.b64decode(reference.encrypt(KEY, message)))
    for _ in range(data.draw(st.integers(1, 3))):
        ciphertext[data.draw(st.integers(0, len(ciphertext) - 1))] ^= data.draw(st.integers(1, 255))
    del ciphertext[data.draw(st.integers(0, len(ciphertext))) :]
    crypto = WeComCrypto(TOKEN, KEY)
    try:
        crypto.decrypt(base64.b64encode(ciphertext))
    except CryptoError as error:
        assert error.code in CODES  # noqa: PT017 - a mutation of the random prefix is not noticed, and need not be


@given(st.binary(max_size=64).map(reference.add_padding))
@settings(deadline=None, max_examples=100)
def test_well_padded_frames_with_any_content_raise_nothing_but_crypto_errors(padded: bytes):
    crypto = WeComCrypto(TOKEN, KEY)
    encrypted = reference.seal(KEY, padded).encode()
    length = int.from_bytes(padded[16:20], "big")
    if len(unpad(padded)) == 20 + length:
        assert crypto.decrypt(encrypted) == padded[20 : 20 + length]
    else:
        assert code_of(crypto, encrypted) in CODES


def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch):
    compared = []
    monkeypatch.setattr(crypto_module, "compare_digest", lambda *pair: compared.append(pair) or True)
    assert WeComCrypto("token", "a" * 43).verify(b"0" * 40, b"1", b"2", b"3")
    assert len(compared) == 1
