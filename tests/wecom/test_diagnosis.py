"""rawbot/wecom/diagnosis.py: every known way to break a request is told apart, and nothing secret is told."""

import base64
import json
from urllib.parse import quote

import pytest
import reference_wecom as reference
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rawbot.exchange import Answer, Request
from rawbot.wecom.diagnosis import Step, diagnose
from rawbot.wecom.endpoint import WeComEndpoint

TOKEN, KEY, OTHER_KEY = reference.TOKEN, reference.KEY, reference.OTHER_KEY
NOW = 1767225600
NONCE = "1700000001"
CHALLENGE = b"5501234567890123456"
NAMES = [
    *("token", "encoding_aes_key", "url", "parameters", "payload", "timestamp", "signature"),
    *("base64", "length", "padding", "frame", "receive_id", "text", "message", "answer"),
]


def message(**more: object) -> bytes:
    fields = {"msgid": "m1", "msgtype": "text", "from": {"userid": "u"}, "text": {"content": "a private word"}}
    return json.dumps(fields | more).encode()


def seal(plaintext: bytes, *, key: str = KEY, receive_id: str = "") -> str:
    return reference.encrypt(key, plaintext, receive_id)


def envelope(encrypted: str) -> bytes:
    return json.dumps({"encrypt": encrypted}).encode()


def url_for(encrypted: str, *, token: str = TOKEN, timestamp: str = str(NOW), **more: str) -> str:
    """Write a callback's URL; `more` replaces or adds parameters, which are percent-encoded unless they are so."""
    signature = reference.sign(token, timestamp, NONCE, encrypted)
    query = {"msg_signature": signature, "timestamp": timestamp, "nonce": NONCE} | more
    return "https://bot.example/callback?" + "&".join(f"{name}={quote(query[name], '%+')}" for name in query)


def get_url(encrypted: str, **more: str) -> str:
    return url_for(encrypted, echostr=quote(encrypted, ""), **more)


def run(url: str, body: bytes | None = None, **settings: object) -> list[Step]:
    arguments = {"token": TOKEN, "encoding_aes_key": KEY, "now": NOW} | settings
    return diagnose(url=url, body=body, **arguments)


def post(encrypted: str, **settings: object) -> list[Step]:
    return run(url_for(encrypted), envelope(encrypted), **settings)


def found(steps: list[Step], name: str) -> tuple[str, str]:
    assert [step.name for step in steps] == NAMES
    return next((step.verdict, step.detail) for step in steps if step.name == name)


def assert_fails_at(steps: list[Step], name: str, words: str) -> None:
    """Look for the one failure, with these words in it and nothing but skipped steps behind it."""
    verdict, detail = found(steps, name)
    place = NAMES.index(name)
    assert (verdict, words) == ("failed", words if words in detail else detail)
    assert {step.verdict for step in steps[place + 1 :]} <= {"skipped"}
    assert "failed" not in {step.verdict for step in steps[:place]}


def assert_warns_at(steps: list[Step], name: str, words: str) -> None:
    verdict, detail = found(steps, name)
    assert (verdict, words) == ("warning", words if words in detail else detail)
    assert "failed" not in {step.verdict for step in steps}


CALLBACK = seal(message())
VERIFICATION = seal(CHALLENGE)


def test_a_good_callback_passes_every_step():
    steps = post(CALLBACK)
    assert {step.verdict for step in steps} == {"ok"}
    assert found(steps, "message")[1] == f"The message is of the kind text and has {len(message())} bytes."


def test_a_good_verification_ends_with_the_bytes_to_answer():
    steps = run(get_url(VERIFICATION))
    assert found(steps, "answer") == (
        "ok",
        "Answer 200 with exactly these 19 bytes, without quotes, BOM or newline: 5501234567890123456",
    )
    assert {step.name for step in steps if step.verdict != "ok"} == {"text", "message"}
    assert found(steps, "message")[0] == "skipped"


def test_what_is_no_challenge_is_not_shown_as_the_answer():
    for plaintext in (message(), b"9" * 44, "é".encode()):
        steps = run(get_url(seal(plaintext)))
        assert_warns_at(steps, "answer", f"{len(plaintext)} decrypted bytes")
        assert "private" not in str(steps)


@pytest.mark.parametrize(
    ("settings", "name", "words"),
    [
        ({"token": " "}, "token", "is empty"),
        ({"token": "tökén"}, "token", "not ASCII"),
        ({"token": "tok\ud800"}, "token", "not ASCII"),
        ({"encoding_aes_key": ""}, "encoding_aes_key", "has 0 characters"),
        ({"encoding_aes_key": TOKEN}, "encoding_aes_key", f"has {len(TOKEN)} characters in place of 43"),
        ({"encoding_aes_key": KEY[:-1] + "+"}, "encoding_aes_key", "else than letters and digits"),
    ],
)
def test_a_setting_that_cannot_work_ends_the_walk(settings: dict, name: str, words: str):
    assert_fails_at(post(CALLBACK, **settings), name, words)


@pytest.mark.parametrize(
    ("settings", "name", "words"),
    [
        ({"token": TOKEN + "\n"}, "token", "White space"),
        ({"encoding_aes_key": KEY + " "}, "encoding_aes_key", "White space"),
        ({"encoding_aes_key": KEY + "="}, "encoding_aes_key", "44th"),
    ],
)
def test_a_setting_that_works_in_spite_of_itself_is_warned_about(settings: dict, name: str, words: str):
    assert_warns_at(post(CALLBACK, **settings), name, words)


@pytest.mark.parametrize(("token", "words"), [(KEY, "swapped"), ("a-b", "32 letters"), ("a" * 33, "32 letters")])
def test_a_token_that_the_console_would_not_take_is_warned_about(token: str, words: str):
    steps = run(url_for(CALLBACK, token=token), envelope(CALLBACK), token=token)
    assert_warns_at(steps, "token", words)


def test_spare_bits_in_the_key_are_noted_and_are_no_warning():
    assert "strict base64" in found(post(CALLBACK), "encoding_aes_key")[1]
    zeros = seal(message(), key="A" * 43)
    verdict, detail = found(post(zeros, encoding_aes_key="A" * 43), "encoding_aes_key")
    assert (verdict, "strict" in detail) == ("ok", False)


@pytest.mark.parametrize(
    ("url", "name", "words"),
    [
        ("", "url", "has no query"),
        ("https://bot.example/callback", "url", "has no query"),
        ("https://bot.example/é?a=b", "url", "not ASCII"),
        (url_for(CALLBACK) + "&nonce=2", "url", "nonce is given twice"),
        (url_for(CALLBACK) + "&a=1&a=1", "url", "A parameter is given twice"),
        (url_for(CALLBACK).replace("&", "&amp;"), "parameters", "&amp;"),
        (url_for(CALLBACK).partition("&")[0], "parameters", "quotes, for the shell"),
        (url_for(CALLBACK).replace("msg_signature", "signature"), "parameters", "official account"),
        (url_for(CALLBACK).replace("msg_signature", "msgsignature"), "parameters", "is spelt 'msgsignature'"),
        (url_for(CALLBACK).replace("timestamp", "TimeStamp"), "parameters", "is spelt 'TimeStamp'"),
        (url_for(CALLBACK, nonce=""), "parameters", "nonce is missing or empty"),
    ],
)
def test_a_url_that_is_not_what_the_platform_sent_is_explained(url: str, name: str, words: str):
    assert_fails_at(run(url, envelope(CALLBACK)), name, words)


def test_a_url_may_be_quoted_or_a_bare_target_or_a_bare_query():
    url = url_for(CALLBACK)
    assert_warns_at(run(f" '{url}'\n", envelope(CALLBACK)), "url", "taken off")
    for written in (url.removeprefix("https://bot.example"), url.partition("?")[2], url + "#top"):
        assert {step.verdict for step in run(written, envelope(CALLBACK))} == {"ok"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "is empty"),
        (b" \r\n", "is empty"),
        (b"\xef\xbb\xbf" + envelope(CALLBACK), "byte order mark"),
        (envelope(CALLBACK).decode().encode("utf-16"), "UTF-16"),
        (b"<xml><Encrypt><![CDATA[abc]]></Encrypt></xml>", "XML of another kind of app"),
        (b"<!DOCTYPE html><html>502</html>", "HTML or XML"),
        (envelope(CALLBACK)[:-1], "is not JSON"),
        (json.dumps(envelope(CALLBACK).decode()).encode(), "quoted JSON string"),
        (b"[]", "not an object"),
        (message(), "not encrypted"),
        (b'{"encrypted":"abc"}', "no field encrypt"),
        (b'{"encrypt":7}', "no field encrypt"),
    ],
)
def test_a_body_that_is_no_envelope_is_explained(body: bytes, words: str):
    assert_fails_at(run(url_for(CALLBACK), body), "payload", words)


def test_bodies_that_work_in_spite_of_themselves_are_warned_about():
    for body, words in (
        ({"Encrypt": CALLBACK}, "spelt Encrypt"),
        ({"encrypt": CALLBACK, "msgsignature": "0", "timestamp": 1, "nonce": "n"}, "answer of a bot"),
    ):
        assert_warns_at(run(url_for(CALLBACK), json.dumps(body).encode()), "payload", words)
    assert_warns_at(run(get_url(CALLBACK), envelope(CALLBACK)), "payload", "has an echostr although")


def with_plus() -> str:
    """Make a challenge whose ciphertext has a `+` in it, as most have."""
    return next(text for i in range(99) if "+" in (text := seal(b"%d" % i)))


def test_an_echostr_spoilt_on_the_way_is_mended_and_its_spoiler_named():
    encrypted = with_plus()
    spoilt = url_for(encrypted, echostr=encrypted.replace("+", "%20"))
    assert_warns_at(run(spoilt), "payload", "blanks for '+'")
    assert_warns_at(run(url_for(encrypted, echostr=encrypted)), "payload", "bare '+'")


def test_an_echostr_encoded_twice_is_explained_at_the_signature():
    encrypted = with_plus()
    steps = run(url_for(encrypted, echostr=quote(quote(encrypted, ""), "")))
    assert_fails_at(steps, "signature", "echostr is percent-decoded once more")
    assert "encoded twice" in found(steps, "payload")[1]


def test_neither_echostr_nor_body_asks_for_the_body():
    assert_fails_at(run(url_for(CALLBACK)), "payload", "give its body as well")
    assert_fails_at(run(url_for(CALLBACK, route="1")), "payload", "give its body as well")
    assert_fails_at(run(url_for(CALLBACK, echoStr="abc")), "payload", "is spelt 'echoStr'")


@pytest.mark.parametrize(
    ("timestamp", "now", "verdict", "words"),
    [
        (str(NOW), None, "skipped", "No time was given"),
        (str(NOW), NOW + 599, "ok", "close to"),
        (str(NOW), NOW + 7200, "warning", "120 minutes old"),
        (str(NOW), NOW - 7200, "warning", "120 minutes ahead"),
        (f"{NOW}000", NOW, "warning", "milliseconds"),
        ("12345", int(NONCE) + 5, "warning", "swapped"),
        ("today", NOW, "warning", "not a number"),
        ("²", NOW, "warning", "not a number"),
        ("9" * 400, NOW, "warning", "not a number"),
    ],
)
def test_the_timestamp_is_compared_with_the_clock_and_stops_nothing(
    timestamp: str, now: float | None, verdict: str, words: str
):
    steps = run(url_for(CALLBACK, timestamp=timestamp), envelope(CALLBACK), now=now)
    found_verdict, detail = found(steps, "timestamp")
    assert (found_verdict, words in detail) == (verdict, True), detail
    assert "failed" not in {step.verdict for step in steps}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (str.upper, "upper case or white space"),
        (lambda signature: f"{signature}%20", "upper case or white space"),
        (lambda signature: signature[:-1], "39 characters in place of 40"),
        (lambda signature: signature[::-1], "copy the token"),
    ],
)
def test_a_changed_signature_is_explained(change: object, words: str):
    good = reference.sign(TOKEN, str(NOW), NONCE, CALLBACK)
    assert_fails_at(run(url_for(CALLBACK, msg_signature=change(good)), envelope(CALLBACK)), "signature", words)


def test_a_three_field_signature_is_recognised():
    plain = reference.sign(TOKEN, str(NOW), NONCE, "")
    assert_fails_at(run(url_for(CALLBACK, msg_signature=plain), envelope(CALLBACK)), "signature", "three-field")


def test_a_body_spoilt_on_the_way_is_explained_at_the_signature():
    encrypted = with_plus()
    for spoilt, words in (
        (encrypted.replace("+", " "), "blanks in encrypt are '+'"),
        (quote(encrypted, ""), "encrypt is percent-decoded once more"),
        (encrypted[:20] + "\n" + encrypted[20:], "without the white space in encrypt"),
    ):
        assert_fails_at(run(url_for(encrypted), envelope(spoilt)), "signature", words)


def test_a_wrong_token_is_told_from_a_wrong_bot():
    body = envelope(CALLBACK)
    assert_fails_at(run(url_for(CALLBACK, token="other"), body), "signature", "copy the token")
    assert_fails_at(run(url_for(CALLBACK, token=f" {TOKEN}"), body, token=f" {TOKEN}"), "signature", "sender must take")
    assert_fails_at(run(url_for(CALLBACK), body, token=f"{TOKEN[:3]} {TOKEN[3:]}"), "signature", "correct the setting")
    assert_fails_at(run(url_for(CALLBACK, token="other"), body, encoding_aes_key=OTHER_KEY), "signature", "another bot")


@pytest.mark.parametrize(
    ("encrypted", "name", "words"),
    [
        ("*" + CALLBACK[1:], "base64", "is not base64"),
        ("-_" + CALLBACK[2:], "base64", "URL-safe"),
        (base64.b64encode(bytes(48)).decode(), "length", "pads to 16"),
        (base64.b64encode(bytes(33)).decode(), "length", "33 bytes, no multiple of 32: the sender is not"),
        (seal(message(), key=OTHER_KEY), "padding", "copy the EncodingAESKey"),
        (reference.seal(KEY, reference.add_padding(bytes(16) + b"\xff" * 4)), "frame", "shorter than it says"),
        (reference.seal(KEY, reference.add_padding(b"short")), "frame", "shorter than it says"),
        (seal(message(), receive_id="ww0123456789abcdef"), "receive_id", "18 characters that begin with 'ww'"),
        (seal(message(), receive_id="\x01\x02"), "receive_id", "is no text"),
        (seal(b"\xff\xfe"), "text", "not UTF-8"),
        (seal(b"<xml></xml>"), "message", "is XML"),
        (seal(b"hello"), "message", "the message is not JSON"),
        (seal(b"[]"), "message", "not a JSON object"),
        (seal(message(msgid="")), "message", "has no msgid"),
    ],
)
def test_what_is_signed_but_wrong_is_told_at_its_step(encrypted: str, name: str, words: str):
    assert_fails_at(post(encrypted), name, words)


def test_the_receive_id_is_told_from_the_setting_without_showing_it():
    corp = seal(message(), receive_id="ww0123456789abcdef")
    assert_fails_at(post(CALLBACK, receive_id="ww01"), "receive_id", "set receive_id to the empty string")
    assert_fails_at(post(corp, receive_id=["x", "WW0123456789abcdef "]), "receive_id", "white space or case alone")
    assert "0123" not in str(post(corp))
    for accepted in ("ww0123456789abcdef", ["", "ww0123456789abcdef"], None):
        assert {step.verdict for step in post(corp, receive_id=accepted)} == {"ok"}


@pytest.mark.parametrize(
    ("plaintext", "kind"),
    [
        (message(msgtype="stream", stream={"id": "s"}), "stream"),
        (message(msgtype="image", image={"url": "https://x"}), "image"),
        (message(msgtype="event", event={"eventtype": "enter_chat"}), "enter_chat"),
    ],
)
def test_the_kind_of_a_message_is_told(plaintext: bytes, kind: str):
    assert f"of the kind {kind} and" in found(post(seal(plaintext)), "message")[1]


@pytest.mark.parametrize("more", [{"msgtype": "link"}, {"msgtype": "event", "event": {"eventtype": "new"}}])
def test_a_kind_that_is_not_known_is_warned_about(more: dict):
    assert_warns_at(post(seal(message(**more))), "message", "acknowledged with an empty 200")


QUERIES = st.sampled_from([url_for(CALLBACK), get_url(VERIFICATION), url_for(CALLBACK, token="other")])
BODIES = st.sampled_from([None, b"", envelope(CALLBACK), envelope(VERIFICATION), message()])
TEXTS = st.text(max_size=60)


ARGUMENTS = st.fixed_dictionaries(
    {
        "token": st.just(TOKEN) | TEXTS,
        "encoding_aes_key": st.sampled_from([KEY, OTHER_KEY]) | TEXTS,
        "receive_id": st.none() | TEXTS | st.lists(TEXTS, max_size=2),
        "url": QUERIES | TEXTS,
        "body": BODIES | st.binary(max_size=60),
        "now": st.none() | st.floats(0, 1e12),
    }
)


@given(ARGUMENTS)
@settings(deadline=None, max_examples=200)
def test_it_raises_nothing_whatever_it_is_given_and_tells_no_secret(arguments: dict):
    steps = diagnose(**arguments)
    assert [step.name for step in steps] == NAMES
    assert all(step.detail.endswith(".") or step.name == "answer" for step in steps)
    for secret in (TOKEN, KEY, OTHER_KEY, "private"):
        assert secret not in str(steps)


@given(url=QUERIES, body=BODIES, data=st.data())
@example(url=url_for(CALLBACK), body=envelope(CALLBACK), data=None)
@settings(deadline=None, max_examples=300)
def test_the_doctor_fails_what_the_door_refuses_and_nothing_else(
    url: str, body: bytes | None, data: st.DataObject | None
):
    if data is not None and data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(url) - 1))
        url = url[:place] + data.draw(st.sampled_from(["", "%2B", "+", "A", "="])) + url[place + 1 :]
    key = KEY if data is None else data.draw(st.sampled_from([KEY, OTHER_KEY]))
    path, _, query = url.partition("?")
    request = Request("GET" if body is None else "POST", path, query, body=body or b"")
    exchange = WeComEndpoint(TOKEN, key).receive(request, NOW)
    refused = isinstance(exchange, Answer) and exchange.error is not None
    verdicts = {step.verdict for step in diagnose(token=TOKEN, encoding_aes_key=key, url=url, body=body)}
    assert ("failed" in verdicts) == refused
