"""rawbot/simulate/wecom_envelope.py: what goes out is sound, and each fault of what comes back has its sentence."""

from urllib.parse import parse_qs

import orjson
import pytest
from honest_bot import KEY, TOKEN, seal
from hypothesis import given, settings
from hypothesis import strategies as st

from rawbot.simulate.wecom_envelope import decode_reply, encode_callback, encode_verification, judge_echo
from rawbot.wecom.crypto import WeComCrypto

CRYPTO = WeComCrypto(TOKEN, KEY)
ECHO = "5501234567890123456"
SIGNATURE = "msgsignature in the answer is wrong"
NUMBER = "timestamp is not a whole number in the answer"


def judge(plaintext: bytes = b'{"a":1}', **fields: object) -> tuple[dict | None, list[str]]:
    """Judge an envelope in which these fields are changed, or missing if None."""

    def mangle(envelope: dict):
        envelope.update(fields)
        for name in [name for name, value in fields.items() if value is None]:
            del envelope[name]

    return decode_reply(seal(CRYPTO, plaintext, "n1", mangle=mangle), crypto=CRYPTO, nonce="n1")


@settings(deadline=None, max_examples=30)
@given(st.text(max_size=50), st.text(min_size=1, max_size=8), st.integers(0, 2**40))
def test_a_callback_can_be_verified_and_opened(text: str, nonce: str, timestamp: int):
    query, body = encode_callback(CRYPTO, {"text": text}, timestamp=timestamp, nonce=nonce)
    fields = {name: values[0].encode() for name, values in parse_qs(query).items()}
    encrypted = orjson.loads(body)["encrypt"].encode()
    assert CRYPTO.verify(fields["msg_signature"], fields["timestamp"], fields["nonce"], encrypted)
    assert fields["nonce"].decode() == nonce
    assert orjson.loads(CRYPTO.decrypt(encrypted)) == {"text": text}


def test_a_verification_always_has_a_plus_to_lose():
    for _ in range(20):
        query, echostr = encode_verification(CRYPTO, ECHO, timestamp=1, nonce="n")
        fields = {name: values[0].encode() for name, values in parse_qs(query).items()}
        assert b"+" in echostr
        assert fields["echostr"] == echostr
        assert "%2B" in query
        assert CRYPTO.verify(fields["msg_signature"], b"1", b"n", echostr)
        assert CRYPTO.decrypt(echostr) == ECHO.encode()


def test_a_sound_envelope_gives_what_is_in_it():
    assert judge() == ({"a": 1}, [])


@pytest.mark.parametrize("body", [b"", b"success", b" success\n"])
def test_saying_nothing_is_allowed(body: bytes):
    assert decode_reply(body, crypto=CRYPTO, nonce="n1") == ({}, [])


def test_an_encrypted_nothing_is_allowed_too():
    assert judge(b"{}") == ({}, [])


@pytest.mark.parametrize(
    ("fields", "problems"),
    [
        ({"nonce": None}, ["nonce is missing from the answer", SIGNATURE]),
        ({"nonce": "n2"}, ["nonce in the answer is not that of the callback", SIGNATURE]),
        ({"timestamp": None}, ["timestamp is missing from the answer", SIGNATURE]),
        ({"timestamp": "1767225600"}, [NUMBER]),
        ({"timestamp": 1767225600.5}, [NUMBER, SIGNATURE]),
        ({"timestamp": True}, [NUMBER, SIGNATURE]),
        ({"msgsignature": None}, ["msgsignature is missing from the answer, or no string"]),
        ({"msgsignature": "0" * 40}, [SIGNATURE]),
    ],
)
def test_the_fields_beside_encrypt_are_judged_but_do_not_hide_what_is_said(fields: dict, problems: list[str]):
    assert judge(**fields) == ({"a": 1}, problems)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"\xff", "the answer is not UTF-8"),
        (b"OK", "the answer is not JSON"),
        (b'"quoted"', "the answer is not a JSON object"),
        (b'{"msgtype":"stream"}', "the answer is not encrypted"),
        (b'{"response_type":"update_template_card"}', "the answer is not encrypted"),
        (b'{"Encrypt":"x"}', "encrypt is missing from the answer, or no string"),
    ],
)
def test_an_answer_that_is_no_envelope_is_named(body: bytes, problem: str):
    assert decode_reply(body, crypto=CRYPTO, nonce="n1") == (None, [problem])


@pytest.mark.parametrize(
    ("plaintext", "problem"),
    [
        (b'{"a":"\xe4"}', "the decrypted answer is not UTF-8"),
        (b"{'a':1}", "the decrypted answer is not JSON"),
        (b"[]", "the decrypted answer is not a JSON object"),
        (b"", "the decrypted answer is not JSON"),
    ],
)
def test_an_envelope_with_the_wrong_thing_in_it_is_named(plaintext: bytes, problem: str):
    assert judge(plaintext) == (None, [problem])


def test_another_key_is_told_from_another_token():
    stranger = WeComCrypto(TOKEN, KEY[::-1])
    reply, (problem,) = decode_reply(seal(stranger, b"{}", "n1"), crypto=CRYPTO, nonce="n1")
    assert reply is None
    assert problem.startswith("the answer cannot be decrypted: ")
    stranger = WeComCrypto("otherToken", KEY)
    assert decode_reply(seal(stranger, b"{}", "n1"), crypto=CRYPTO, nonce="n1") == (
        {},
        [SIGNATURE],
    )


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b'"5501234567890123456"', "in quotes"),
        (200, b'"5501234567890123456"\n', "in quotes"),
        (200, b"\xef\xbb\xbf5501234567890123456", "byte order mark"),
        (200, b"5501234567890123456\n", "white space"),
        (200, b"", "is empty"),
        (200, b"cipher+text==", "as it was sent"),
        (200, b'{"echostr":"5501234567890123456"}', "with more around it"),
        (200, b"<!doctype html>", "a web page"),
        (200, b"5501234567890123457", "another text"),
        (403, b"", "403: it found the signature wrong"),
        (404, b"", "404: nothing is served"),
        (302, b"", "302: it must be 200"),
    ],
)
def test_each_wrong_echo_has_its_diagnosis(status: int, body: bytes, words: str):
    assert words in judge_echo(status, body, echo=ECHO, echostr=b"cipher+text==")


def test_the_bare_text_is_right():
    assert judge_echo(200, ECHO.encode(), echo=ECHO, echostr=b"x") is None
