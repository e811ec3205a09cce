"""rawbot/wecom/endpoint.py: whom it believes, what it refuses, and how little it says about that.

Source: developer.work.weixin.qq.com/document/path/101033.
"""

import json
from urllib.parse import quote

import pytest
import reference_wecom as reference
from shared_vectors import all_vectors
from wecom_callbacks import (
    KEY,
    NONCE,
    OTHER_KEY,
    T0,
    TOKEN,
    Json,
    event,
    is_empty,
    message,
    open_answer,
    post,
    query_for,
    refresh,
    request_for,
    say,
    seal,
    shown,
    text,
)

from rawbot.errors import ConfigError
from rawbot.exchange import REFUSED, Answer, Request, Response
from rawbot.wecom import crypto
from rawbot.wecom.endpoint import WeComEndpoint
from rawbot.wecom.messages import (
    CardEvent,
    EnterChat,
    FeedbackEvent,
    Refresh,
    UnknownEvent,
    UserMessage,
    decode_message,
)

NAN = float("nan")
CHALLENGE = b"5501234567890123456"
INBOUND = [v for v in all_vectors("wecom", "vectors", "generated") if "url_verify" not in v["name"]]
URL_VERIFY = [v for v in all_vectors("wecom", "vectors", "generated") if "url_verify" in v["name"]]
NEGATIVE = all_vectors("wecom", "negative")
TYPES = {
    "stream": Refresh,
    "enter_chat": EnterChat,
    "template_card_event": CardEvent,
    "feedback_event": FeedbackEvent,
    "something_new": UnknownEvent,
}


def name(vector: Json) -> str:
    return vector["name"]


def endpoint_for(vector: Json) -> WeComEndpoint:
    return WeComEndpoint(vector["token"], vector["encoding_aes_key"], receive_id=vector["receive_id"])


def vector_query(vector: Json) -> str:
    return "&".join(f"{key}={vector[key]}" for key in ("msg_signature", "timestamp", "nonce"))


def callback(vector: Json) -> Request:
    body = json.dumps({"encrypt": vector["encrypted"]}).encode()
    return Request("POST", "/", vector_query(vector), body=body)


def verification(echostr: str, encrypted: str | None = None) -> Request:
    """Ask as the console does; `echostr` as it stands in the URL, `encrypted` as it was signed."""
    return Request("GET", "/", f"{query_for(encrypted or echostr)}&echostr={echostr}")


def assert_refused(exchange: object, status: int, code: int | None, endpoint: WeComEndpoint) -> None:
    """Look for the one body that every refusal has, and for the label that it leaves behind."""
    assert isinstance(exchange, Answer)
    assert exchange.response == Response(status, REFUSED)
    assert exchange.error is not None
    assert (exchange.error.status, exchange.error.code, exchange.event) == (status, code, None)
    assert endpoint.failures == {code or 0: 1}
    assert (len(endpoint.streams), len(endpoint._remembered)) == (0, 0)


@pytest.fixture
def endpoint() -> WeComEndpoint:
    return WeComEndpoint(TOKEN, KEY)


# What is believed


@pytest.mark.parametrize("vector", URL_VERIFY, ids=name)
def test_a_vector_of_the_url_verification_is_answered_raw(vector: Json):
    for echostr in (quote(vector["encrypted"], ""), vector["encrypted"], vector["encrypted"].replace("+", "%20")):
        request = Request("GET", "/", f"{vector_query(vector)}&echostr={echostr}")
        exchange = endpoint_for(vector).receive(request, T0)
        assert isinstance(exchange, Answer)
        assert exchange.response == Response(200, vector["plaintext"].encode())


@pytest.mark.parametrize("vector", INBOUND, ids=name)
def test_an_inbound_vector_is_typed_or_refused_as_no_message(vector: Json):
    endpoint = endpoint_for(vector)
    exchange = endpoint.receive(callback(vector), T0)
    try:
        fields = json.loads(vector["plaintext"])
    except json.JSONDecodeError:
        fields = {}
    if not isinstance(fields, dict) or "msgid" not in fields:
        assert_refused(exchange, 400, crypto.PARSE_ERROR, endpoint)
        return
    kind = fields["event"]["eventtype"] if fields["msgtype"] == "event" else fields["msgtype"]
    decoded = decode_message(vector["plaintext"].encode())
    assert type(decoded) is TYPES.get(kind, UserMessage)
    if kind == "stream":
        assert exchange.event is None
    else:
        assert exchange.event is not None
        assert exchange.event.message == decoded
        assert decoded.raw == fields


@pytest.mark.parametrize("vector", NEGATIVE, ids=name)
def test_a_negative_vector_is_refused_without_a_word_about_why(vector: Json):
    endpoint = endpoint_for(vector)
    exchange = endpoint.receive(callback(vector), T0)
    (code,) = endpoint.failures
    assert code in vector["expect"]
    assert_refused(exchange, 403 if code == crypto.SIGNATURE_ERROR else 400, code, endpoint)


@pytest.mark.parametrize("twins", all_vectors("wecom", "key_twins"))
def test_a_key_s_twin_opens_its_messages(twins: Json):
    endpoint = WeComEndpoint(TOKEN, twins["a"])
    assert open_answer(post(endpoint, text(), key=twins["b"]), key=twins["b"])["msgtype"] == "stream"


def test_while_keys_are_rotated_the_pair_that_fits_answers():
    endpoint = WeComEndpoint("new", OTHER_KEY, previous=[(TOKEN, KEY), (TOKEN, reference.KEY[::-1])])
    pairs = [("new", OTHER_KEY), (TOKEN, KEY), (TOKEN, KEY[::-1])]
    for number, (token, key) in enumerate(pairs):
        exchange = post(endpoint, text(msgid=f"m{number}"), token=token, key=key)
        stream_id = open_answer(exchange, token=token, key=key)["stream"]["id"]
        assert exchange.event is not None
        exchange.event.reply.finish()
        for other_token, other_key in pairs:  # a stream outlives the key that opened it
            exchange = post(endpoint, refresh(stream_id), token=other_token, key=other_key)
            assert open_answer(exchange, token=other_token, key=other_key)["stream"]["finish"]
    assert endpoint.failures == {}
    exchange = post(endpoint, text(), token="new", key=KEY)
    assert isinstance(exchange, Answer)
    assert (exchange.response.status, exchange.error and exchange.error.code) == (400, crypto.DECRYPT_ERROR)
    exchange = post(endpoint, text(), token="other", key=KEY)
    assert isinstance(exchange, Answer)
    assert exchange.response.status == 403


def test_a_file_is_opened_with_the_key_of_its_message():
    endpoint = WeComEndpoint("new", OTHER_KEY, previous=[(TOKEN, KEY)])
    exchange = post(endpoint, message(msgtype="image", image={"url": "https://x/"}))
    assert exchange.event is not None
    assert exchange.event.attachments[0]._key == reference.aes_key(KEY)


@pytest.mark.parametrize(
    ("receive_id", "sent_to", "accepted"),
    [("", "", True), ("", "ww1", False), ("ww1", "ww1", True), (["ww1", "ww2"], "ww2", True), (None, "ww3", True)],
)
def test_the_receive_id_must_be_ours(receive_id: object, sent_to: str, accepted: bool):  # noqa: FBT001
    endpoint = WeComEndpoint(TOKEN, KEY, receive_id=receive_id, previous=[(TOKEN, OTHER_KEY)])
    exchange = endpoint.receive(request_for(seal(text(), receive_id=sent_to)), T0)
    if accepted:
        assert exchange.event is not None
    else:
        assert_refused(exchange, 400, crypto.RECEIVE_ID_ERROR, endpoint)


# URL verification


def test_the_challenge_is_answered_raw(endpoint: WeComEndpoint):
    encrypted = seal(CHALLENGE)
    exchange = endpoint.receive(verification(quote(encrypted, ""), encrypted), T0)
    assert isinstance(exchange, Answer)
    assert exchange.response == Response(200, CHALLENGE)
    assert exchange.response.content_type.startswith(b"text/plain")


def test_percent_decoding_is_done_once_and_plus_stays(endpoint: WeComEndpoint):
    encrypted = next(e for n in range(1000) if "+" in (e := seal(b"%d" % n)) and "/" in e)
    twice = quote(quote(encrypted, ""), "")
    spaced = encrypted.replace("+", " ")
    for echostr in (encrypted, quote(encrypted, ""), quote(spaced, ""), spaced):
        exchange = endpoint.receive(verification(echostr, encrypted), T0)
        assert isinstance(exchange, Answer)
        assert exchange.response.status == 200
    assert_refused(endpoint.receive(verification(twice, encrypted), T0), 403, crypto.SIGNATURE_ERROR, endpoint)


@pytest.mark.parametrize("missing", ["msg_signature", "timestamp", "nonce", "echostr"])
@pytest.mark.parametrize("how", ["left out", "empty", "twice"])
def test_a_missing_or_doubled_parameter_is_a_bad_request(missing: str, how: str):
    encrypted = seal(CHALLENGE)
    parts = verification(quote(encrypted, ""), encrypted).query.split("&")
    place = next(n for n, part in enumerate(parts) if part.startswith(missing + "="))
    changed = {"left out": [], "empty": [missing + "="], "twice": [parts[place]] * 2}[how]
    endpoint = WeComEndpoint(TOKEN, KEY)
    query = "&".join(parts[:place] + changed + parts[place + 1 :])
    assert_refused(endpoint.receive(Request("GET", "/", query), T0), 400, None, endpoint)


@pytest.mark.parametrize("missing", ["msg_signature", "timestamp", "nonce"])
def test_a_callback_without_a_parameter_is_a_bad_request(endpoint: WeComEndpoint, missing: str):
    request = request_for(seal(text()))
    request.query = request.query.replace(missing, "other")
    assert_refused(endpoint.receive(request, T0), 400, None, endpoint)


def test_a_challenge_with_a_wrong_signature_is_forbidden(endpoint: WeComEndpoint):
    request = verification(quote(seal(CHALLENGE), ""), seal(b"another"))
    assert_refused(endpoint.receive(request, T0), 403, crypto.SIGNATURE_ERROR, endpoint)


def test_other_parameters_and_empty_ones_are_let_pass(endpoint: WeComEndpoint):
    request = request_for(seal(text()))
    request.query = f"&{request.query}&&from=proxy&flag&"
    assert endpoint.receive(request, T0).event is not None


@pytest.mark.parametrize(
    "query", ["", "é", "msg_signature=%ff&timestamp=%ff&nonce=%ff&echostr=%ff", "%", "=&=", "a=%zz"]
)
def test_a_broken_query_is_refused(endpoint: WeComEndpoint, query: str):
    for method in ("GET", "POST"):
        exchange = endpoint.receive(Request(method, "/", query, body=b'{"encrypt":"AAAA"}'), T0)
        assert isinstance(exchange, Answer)
        assert exchange.response.status in (400, 403)


# Refusals


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", crypto.PARSE_ERROR),
        (b"[]", crypto.PARSE_ERROR),
        (b"{}", crypto.PARSE_ERROR),
        (b'{"encrypt":7}', crypto.PARSE_ERROR),
        (b"<xml><Encrypt/></xml>", crypto.PARSE_ERROR),
    ],
)
def test_a_body_without_ciphertext_is_a_bad_request(endpoint: WeComEndpoint, body: bytes, code: int):
    assert_refused(endpoint.receive(Request("POST", "/", query_for("x"), body=body), T0), 400, code, endpoint)


@pytest.mark.parametrize("plaintext", [b"\xff\xfe", b"[]", b"{", b"{}", b'{"msgid":7}', b'{"msgid":"m","msgtype":7}'])
def test_a_decrypted_body_that_is_no_message_is_a_bad_request(endpoint: WeComEndpoint, plaintext: bytes):
    assert_refused(post(endpoint, plaintext), 400, crypto.PARSE_ERROR, endpoint)


@pytest.mark.parametrize("signed_with", [{"token": "wrong"}, {"token": TOKEN.lower()}])
def test_a_wrong_signature_is_forbidden_before_anything_is_decrypted(endpoint: WeComEndpoint, signed_with: Json):
    request = request_for("*not even base64*", **signed_with)
    assert_refused(endpoint.receive(request, T0), 403, crypto.SIGNATURE_ERROR, endpoint)


def test_failures_are_counted_by_label(endpoint: WeComEndpoint):
    for _ in range(2):
        post(endpoint, text(), token="wrong")
    post(endpoint, text(), key=OTHER_KEY)
    endpoint.receive(Request("GET", "/"), T0)
    assert endpoint.failures == {crypto.SIGNATURE_ERROR: 2, crypto.DECRYPT_ERROR: 1, 0: 1}


# Clock and repetition


@pytest.mark.parametrize(("age", "accepted"), [(0, True), (600, True), (-600, True), (601, False), (-601, False)])
def test_the_clock_window_refuses_old_and_future_callbacks(age: int, accepted: bool):  # noqa: FBT001
    endpoint = WeComEndpoint(TOKEN, KEY, clock_window=600)
    encrypted = seal(CHALLENGE)
    get = Request("GET", "/", f"{query_for(encrypted)}&echostr={quote(encrypted, '')}")
    for exchange in (post(endpoint, text(), T0 + age), endpoint.receive(get, T0 + age)):
        assert isinstance(exchange, Answer)
        assert exchange.response.status == (200 if accepted else 403)
    assert endpoint.failures == ({} if accepted else {0: 2})


@pytest.mark.parametrize("timestamp", ["now", "-5", "1.5", "%EF%BC%91", "9" * 400, "1e9"])
def test_a_timestamp_that_is_no_number_is_refused_where_the_clock_counts(timestamp: str):
    strict, trusting = WeComEndpoint(TOKEN, KEY, clock_window=600), WeComEndpoint(TOKEN, KEY)
    assert_refused(post(strict, text(), timestamp=timestamp), 403, None, strict)
    if "%" not in timestamp:
        assert post(trusting, text(), timestamp=timestamp).event is not None


def test_without_a_clock_window_no_clock_is_trusted(endpoint: WeComEndpoint):
    assert post(endpoint, text(), T0 + 10**8).event is not None


def test_a_repeated_callback_never_reaches_the_bot_twice_within_the_replay_window():
    endpoint = WeComEndpoint(TOKEN, KEY, replay_window=600)
    for fields in (text(), event("enter_chat"), event("feedback_event", {}, "e2"), message("m2", msgtype="link")):
        first = post(endpoint, fields)
        assert first.event is not None
        for now in (T0, T0 + 300, T0 + 599):
            again = post(endpoint, fields, now, nonce="another")
            assert again.event is None
            assert not isinstance(again, Answer) or again.error is None
    assert post(endpoint, text(), T0 + 600).event is not None


def test_a_repetition_that_outlived_its_stream_is_acknowledged(endpoint: WeComEndpoint):
    say(endpoint, text()).reply.finish()
    assert is_empty(post(endpoint, text(), T0 + 500))


def test_what_is_remembered_is_bounded():
    endpoint = WeComEndpoint(TOKEN, KEY, max_remembered=3)
    for number in range(10):
        say(endpoint, text(msgid=f"m{number}"))
    assert len(endpoint._remembered) == 3
    assert post(endpoint, text(msgid="m9")).event is None


# Answers


def test_the_answer_is_sealed_with_this_callback_s_nonce_and_the_time_of_the_answer(endpoint: WeComEndpoint):
    encrypted = seal(text())
    signature = reference.sign(TOKEN, "7", 'own"nonce', encrypted)
    query = f"msg_signature={signature}&timestamp=7&nonce=own%22nonce"
    exchange = endpoint.receive(Request("POST", "/", query, body=json.dumps({"encrypt": encrypted}).encode()), T0 + 1.9)
    assert open_answer(exchange, T0 + 1, nonce='own"nonce')["msgtype"] == "stream"


def test_equal_answers_are_encrypted_differently(endpoint: WeComEndpoint):
    bodies = set()
    for _ in range(10):
        exchange = post(endpoint, text())
        assert isinstance(exchange, Answer)
        assert shown(exchange) == ("<think></think>", False)
        bodies.add(exchange.response.body)
    assert len(bodies) == 10


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *(("first_hold", value) for value in (-0.1, 4.0, NAN, "0", None, True)),
        *(("refresh_hold", value) for value in (-1, 4.0, NAN, "0.5")),
        *(("clock_window", value) for value in (0, -1, NAN, "600")),
        *(("replay_window", value) for value in (0, -1, NAN, "3600", None)),
        *(("max_remembered", value) for value in (0, NAN, 1e4, "65536")),
        *(("watchdog", 360.0), ("watchdog", NAN), ("keep", 100.0), ("keep", NAN)),
        *(("max_streams", 0), ("max_bytes", 1), ("max_text_bytes", 1), ("waiting", " ")),
        *(("entropy", value) for value in (b"", None, lambda _: b"", lambda n: "x" * n)),
        *(("previous", value) for value in (None, ("token", KEY), "ab", [("token",)], [("token", KEY, "")])),
        *(("texts", {}), ("texts", "CHINESE"), ("bot_name", b"RobotA"), ("receive_id", [b"ww1"]), ("receive_id", 1)),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_name_when_the_endpoint_is_made(setting: str, value: object):
    with pytest.raises(ConfigError, match=setting):
        WeComEndpoint(TOKEN, KEY, **{setting: value})


@pytest.mark.parametrize("missing", [None, b"bytes", 1])
def test_a_token_or_key_that_is_no_text_is_refused_by_name(missing: object):
    with pytest.raises(ConfigError, match="token is a text"):
        WeComEndpoint(missing, KEY)
    with pytest.raises(ConfigError, match="EncodingAESKey is a text"):
        WeComEndpoint(TOKEN, missing)
    with pytest.raises(ConfigError, match="is a text"):
        WeComEndpoint(TOKEN, KEY, previous=[(missing, KEY)])


def test_settings_may_be_as_far_out_as_they_work():
    for settings in (
        {"first_hold": 0, "refresh_hold": 3.99, "clock_window": 1},
        {"replay_window": float("inf"), "keep": float("inf"), "max_remembered": 1},
        {"receive_id": ["ww1", ""], "previous": [[TOKEN, OTHER_KEY]], "bot_name": "机器人"},
    ):
        assert WeComEndpoint(TOKEN, KEY, **settings) is not None


@pytest.mark.parametrize("bad", all_vectors("wecom", "bad_keys"), ids=lambda bad: bad["why"])
def test_a_bad_key_is_refused_when_the_endpoint_is_made_and_not_repeated(bad: Json):
    for settings in ({"encoding_aes_key": bad["key"]}, {"encoding_aes_key": KEY, "previous": [("t", bad["key"])]}):
        with pytest.raises(ConfigError) as caught:
            WeComEndpoint(TOKEN, **settings)
        assert not bad["key"] or bad["key"] not in str(caught.value)


def test_no_secret_shows_in_a_repr_or_an_error():
    endpoint = WeComEndpoint(TOKEN, KEY, previous=[("old", OTHER_KEY)], receive_id="ww1")
    secret = "a private word"
    exchanges = [
        post(endpoint, text(secret), token="wrong"),
        post(endpoint, text(secret), key=OTHER_KEY),
        endpoint.receive(request_for(seal({"msgid": secret, "msgtype": [secret]}, receive_id="ww1")), T0),
        endpoint.receive(request_for(seal(secret.encode(), receive_id="ww1")), T0),
    ]
    told = f"{endpoint!r} {endpoint} {endpoint.streams!r} {endpoint.deliveries!r} {endpoint._ciphers!r}"
    for exchange in exchanges:
        assert isinstance(exchange, Answer)
        assert exchange.error is not None
        told += f" {exchange.error!r} {exchange.error} {exchange.error.__cause__!r}"
    said = endpoint.receive(request_for(seal(text(secret), receive_id="ww1")), T0).event
    assert said is not None
    told += f" {said.message!r} {said.message} {said.reply!r} {said.attachments!r}"
    for hidden in (TOKEN, KEY, OTHER_KEY, secret, "capability", NONCE):
        assert hidden not in told
