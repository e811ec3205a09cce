"""rawbot/wecom/messages.py: every kind and event of the vendor's pages, every wrong type, every reply's shape."""

import json
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shared_vectors import all_vectors
from wecom_callbacks import CARD, FILE_URL, URL, card_event, event, message, refresh, text

from rawbot.errors import ProtocolError
from rawbot.wecom import messages
from rawbot.wecom.crypto import PARSE_ERROR
from rawbot.wecom.envelope import MAX_PARTS, decode_envelope, encode_envelope
from rawbot.wecom.messages import (
    CardEvent,
    Content,
    EnterChat,
    FeedbackEvent,
    File,
    Image,
    Message,
    Mixed,
    Refresh,
    Text,
    Unknown,
    UnknownEvent,
    UserMessage,
    Video,
    Voice,
    contents,
    decode_message,
    payload_of,
    strip_mention,
)

BODIES: dict[str, tuple[object, Content]] = {
    # msgtype: what the platform sends in the field of that name, and what it becomes
    "text": ({"content": "hello"}, Text("hello")),
    "image": ({"url": FILE_URL}, Image(FILE_URL)),
    "voice": ({"content": "spoken"}, Voice("spoken")),
    "file": ({"url": FILE_URL, "filename": "a.pdf"}, File(FILE_URL, "a.pdf")),
    "video": ({"url": FILE_URL}, Video(FILE_URL)),
    "mixed": (
        {
            "msg_item": [
                {"msgtype": "text", "text": {"content": "look"}},
                {"msgtype": "image", "image": {"url": FILE_URL}},
                {"msgtype": "image", "image": {"url": FILE_URL + "2"}},
                {"msgtype": "text", "text": {"content": "here"}},
                {"msgtype": "sticker", "sticker": {"x": 1}},
            ]
        },
        Mixed((Text("look"), Image(FILE_URL), Image(FILE_URL + "2"), Text("here"), Unknown("sticker", {"x": 1}))),
    ),
}
CHOICES = [{"question_key": "q1", "option_ids": {"option_id": ["a", "b"]}}, {"question_key": "q2", "option_ids": {}}]

each_kind = pytest.mark.parametrize("kind", BODIES)


def decode(fields: dict) -> Message:
    return decode_message(json.dumps(fields).encode())


def refused(decoder: Callable[[bytes], object], data: bytes) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        decoder(data)
    assert (caught.value.status, caught.value.code) == (400, PARSE_ERROR)
    return caught.value


@each_kind
def test_a_message_of_each_kind_is_typed(kind: str):
    body, content = BODIES[kind]
    fields = message(msgtype=kind, response_url=URL, **{kind: body})
    decoded = decode(fields)
    assert isinstance(decoded, UserMessage)
    assert decoded.content == content
    assert decoded.quote is None
    assert decoded.raw == fields


@each_kind
def test_a_quote_of_each_kind_is_typed(kind: str):
    body, content = BODIES[kind]
    decoded = decode(text("about this", quote={"msgtype": kind, kind: body}))
    assert isinstance(decoded, UserMessage)
    assert (decoded.content, decoded.quote) == (Text("about this"), content)


def test_what_every_message_says_is_kept():
    decoded = decode(text(chattype="group", chatid="wrCHAT"))
    assert (decoded.msgid, decoded.aibotid, decoded.chattype) == ("m1", "BOT", "group")
    assert (decoded.chatid, decoded.sender, decoded.response_url) == ("wrCHAT", "zhangsan", URL)


def test_only_the_msgid_cannot_be_missing():
    decoded = decode({"msgid": "m", "msgtype": "text"})
    assert isinstance(decoded, UserMessage)
    assert (decoded.sender, decoded.chatid, decoded.response_url, decoded.content) == ("", "", "", Text(""))
    assert "msgid" in str(refused(decode_message, b'{"msgtype":"text","text":{"content":"x"}}'))
    assert "msgid" in str(refused(decode_message, b'{"msgid":null,"msgtype":"text"}'))


def test_a_quote_of_an_unknown_kind_is_kept_as_it_came():
    decoded = decode(text(quote={"msgtype": "link", "link": {"href": "x"}}))
    assert isinstance(decoded, UserMessage)
    assert decoded.quote == Unknown("link", {"href": "x"})


def test_mixed_messages_do_not_nest():
    inner = {"msgtype": "mixed", "mixed": {"msg_item": []}}
    decoded = decode(message(msgtype="mixed", mixed={"msg_item": [inner]}))
    assert isinstance(decoded, UserMessage)
    assert decoded.content == Mixed((Unknown("mixed", {"msg_item": []}),))


@pytest.mark.parametrize("depth", [300, 2000])
def test_what_nests_without_end_does_not_exhaust_the_stack(depth: int):
    inner = '{"msgtype":"text","text":{"content":"x"}}'
    for _ in range(depth):
        inner = f'{{"msgtype":"mixed","mixed":{{"msg_item":[{inner}]}}}}'
    try:
        assert isinstance(decode_message(f'{{"msgid":"m",{inner[1:]}'.encode()), UserMessage)
    except ProtocolError as error:
        assert error.code == PARSE_ERROR  # noqa: PT017 - how deep JSON may be is the parser's business


def test_the_words_of_a_message_are_typed_or_spoken():
    assert [decode_text(kind) for kind in ("text", "voice", "image", "file", "video")] == [
        "hello",
        "spoken",
        "",
        "",
        "",
    ]
    assert decode_text("mixed") == "look\nhere"


def decode_text(kind: str) -> str:
    decoded = decode(message(msgtype=kind, **{kind: BODIES[kind][0]}))
    assert isinstance(decoded, UserMessage)
    return decoded.text


def test_contents_take_mixed_messages_and_their_quotes_apart():
    quote = {"msgtype": "mixed", "mixed": {"msg_item": [{"msgtype": "image", "image": {"url": "q"}}]}}
    decoded = decode(message(msgtype="mixed", mixed=BODIES["mixed"][0], quote=quote))
    assert isinstance(decoded, UserMessage)
    mixed = BODIES["mixed"][1]
    assert isinstance(mixed, Mixed)
    assert contents(decoded) == [*mixed.items, Image("q")]
    plain = decode(text(quote={"msgtype": "file", "file": {"url": "q"}}))
    assert isinstance(plain, UserMessage)
    assert contents(plain) == [Text("hello"), File("q")]


def test_a_refresh_names_its_stream():
    decoded = decode(refresh("boot-1"))
    assert isinstance(decoded, Refresh)
    assert decoded.stream_id == "boot-1"


def test_enter_chat_comes_without_chattype():
    decoded = decode({"msgid": "e", "from": {"corpid": "wp", "userid": "u"}, **event_of("enter_chat")})
    assert isinstance(decoded, EnterChat)
    assert (decoded.sender, decoded.chattype) == ("u", "")


def event_of(name: str) -> dict:
    return {"msgtype": "event", "event": {"eventtype": name}}


def test_a_card_event_tells_card_button_and_choices():
    payload = {"card_type": "vote_interaction", "event_key": "k", "task_id": "t"}
    decoded = decode(event("template_card_event", payload | {"selected_items": {"selected_item": CHOICES}}))
    assert isinstance(decoded, CardEvent)
    assert (decoded.card_type, decoded.event_key, decoded.task_id) == ("vote_interaction", "k", "t")
    assert decoded.selected == {"q1": ["a", "b"], "q2": []}


@pytest.mark.parametrize(
    ("selected_items", "selected"),
    [
        ([{"question_key": "q", "option_ids": ["a"]}], {"q": ["a"]}),
        ([{"question_key": "q", "option_ids": "a"}], {"q": ["a"]}),
        ([{"question_key": "q", "option_ids": {"option_id": "a"}}], {"q": ["a"]}),
        ([{"question_key": "q", "option_ids": ["a", 1]}, 7], {"q": ["a"]}),
        ({"selected_item": None}, {}),
        ("?", {}),
        (None, {}),
    ],
)
def test_choices_are_read_in_every_form_that_was_seen(selected_items: object, selected: dict):
    for names in (("CardType", "EventKey", "TaskId"), ("cardType", "eventKey", "taskId")):
        payload = dict(zip(names, ("vote_interaction", "k", "t"), strict=True)) | {"selected_items": selected_items}
        decoded = decode(event("template_card_event", payload))
        assert isinstance(decoded, CardEvent)
        assert (decoded.card_type, decoded.event_key, decoded.task_id) == ("vote_interaction", "k", "t")
        assert decoded.selected == selected


def test_a_feedback_event_tells_the_verdict_and_why():
    payload = {"id": "boot-1", "type": 2, "content": "not so", "inaccurate_reason_list": [1, "x", 4]}
    decoded = decode(event("feedback_event", payload))
    assert isinstance(decoded, FeedbackEvent)
    assert (decoded.feedback_id, decoded.type, decoded.content) == ("boot-1", 2, "not so")
    assert decoded.inaccurate_reason_list == [1, 4]
    bare = decode(event("feedback_event", {"type": "?", "inaccurate_reason_list": "?"}))
    assert isinstance(bare, FeedbackEvent)
    assert (bare.feedback_id, bare.type, bare.inaccurate_reason_list) == ("", 0, [])


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        (event("something_new", {"x": 1}), "something_new"),
        (event("disconnected_event"), "disconnected_event"),
        (message(msgtype="event"), "event"),
        (message(msgtype="link", link={"href": "x"}), "link"),
        (message(msgtype="markdown"), "markdown"),
        (message(), ""),
    ],
)
def test_unknown_kinds_and_events_are_passed_on_raw(fields: dict, name: str):
    decoded = decode(fields)
    assert isinstance(decoded, UnknownEvent)
    assert (decoded.name, decoded.raw) == (name, fields)


WRONG = [7, True, ["x"]]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("field", ["msgid", "aibotid", "chattype", "chatid", "from", "response_url", "msgtype", "text"])
def test_a_field_of_the_wrong_type_is_refused_by_name(field: str, wrong: object):
    assert field in str(refused(decode_message, json.dumps(text() | {field: wrong}).encode()))


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize(
    "shape",
    [
        lambda wrong: text() | {"from": {"userid": wrong}},
        lambda wrong: text(quote=wrong),
        lambda wrong: text(quote={"msgtype": "text", "text": wrong}),
        lambda wrong: text(text={"content": wrong}),
        lambda wrong: message(msgtype="voice", voice={"content": wrong}),
        lambda wrong: message(msgtype="image", image={"url": wrong}),
        lambda wrong: message(msgtype="file", file={"url": "u", "filename": wrong}),
        lambda wrong: message(msgtype="video", video=wrong),
        lambda wrong: message(msgtype="mixed", mixed={"msg_item": wrong}),
        lambda wrong: message(msgtype="mixed", mixed={"msg_item": [{"msgtype": wrong}]}),
        lambda wrong: message(msgtype="stream", stream=wrong),
        lambda wrong: message(msgtype="stream", stream={"id": wrong}),
        lambda wrong: message(msgtype="event", event=wrong),
        lambda wrong: message(msgtype="event", event={"eventtype": wrong}),
        lambda wrong: event("template_card_event", wrong),
        lambda wrong: event("template_card_event", {"task_id": wrong}),
        lambda wrong: event("template_card_event", {"selected_items": [{"question_key": wrong}]}),
        lambda wrong: event("feedback_event", {"id": wrong}),
    ],
)
def test_a_wrong_type_is_refused_wherever_it_stands(shape: Callable[[object], dict], wrong: object):
    refused(decode_message, json.dumps(shape(wrong)).encode())


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"7", b'"x"', b"null", b"\xff", b'{"msgid":"\\ud800"}', b"\xef\xbb\xbf{}"]
)
def test_what_is_no_json_object_is_refused_and_not_repeated(data: bytes):
    assert str(refused(decode_message, data)) in ("the message is not JSON", "the message is not a JSON object")
    assert str(refused(decode_envelope, data)) in ("the body is not JSON", "the body is not a JSON object")


def test_the_envelope_s_one_field_is_taken_in_either_spelling():
    assert decode_envelope(b'{"encrypt":"abc","tousername":"x","agentid":7}') == b"abc"
    assert decode_envelope(b'{"Encrypt":"abc"}') == b"abc"


@pytest.mark.parametrize("parts", [MAX_PARTS - 1, MAX_PARTS, MAX_PARTS + 1])
def test_an_envelope_of_many_parts_is_refused_before_it_is_read(parts: int):
    """It is not signed: a megabyte of brackets would hold the loop while orjson makes objects of it."""
    numbers = b",".join([b"%0*d" % (100, 1)] * (parts - 4)).replace(b"0", b" ")
    body = b'{"encrypt":"abc","more":[%b]}' % numbers  # besides, two colons, a comma, two brackets
    assert sum(map(body.count, b",:[{")) == parts
    if parts > MAX_PARTS:
        assert str(refused(decode_envelope, body)) == "the body is no envelope"
    else:
        assert decode_envelope(body) == b"abc"


@pytest.mark.parametrize("body", [{}, {"encrypt": ""}, {"encrypt": 7}, {"encrypt": ["x"]}, {"encrypt": "é"}])
def test_an_envelope_without_ciphertext_is_refused(body: dict):
    refused(decode_envelope, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("text", "bot_name", "stripped"),
    [
        ("@Robot hi", None, "hi"),
        ("@Robot\u2005你好", None, "你好"),
        ("@Robot", None, ""),
        ("@Robot A hi", None, "A hi"),
        ("@Robot A hi", "Robot A", "hi"),
        ("@Robot A", "Robot A", ""),
        ("@RobotB hi", "Robot", "@RobotB hi"),
        ("@Other hi", "Robot", "@Other hi"),
        ("hi @Robot", None, "hi @Robot"),
        ("hi @Robot", "Robot", "hi @Robot"),
        ("@ hi", None, "@ hi"),
        ("@A @B hi", None, "@B hi"),
        ("@Robot \n code", None, "code"),
    ],
)
def test_the_mention_is_stripped_from_the_front_only(text: str, bot_name: str | None, stripped: str):
    assert strip_mention(text, bot_name=bot_name) == stripped


def test_nothing_that_a_user_sent_shows_in_a_repr():
    secret = "a private word"
    bodies = [{"content": secret, "url": secret, "filename": secret}, {"msg_item": [{"msgtype": secret}]}]
    for kind in (*BODIES, "stream", "link"):
        for body in bodies:
            decoded = decode(text(msgtype=kind, quote={"msgtype": "x", "x": secret}, **{kind: body}))
            assert secret not in repr(decoded) + str(decoded)
            if isinstance(decoded, UserMessage):
                assert secret not in f"{contents(decoded)!r} {decoded.content} {decoded.quote!r}"
    assert repr(decode(card_event())) == "<CardEvent e1>"
    assert repr(Text(secret)) == "<Text>"


def test_a_stream_reply_is_the_vendor_s():
    assert json.loads(messages.encode_stream("s1", "so far", finish=False)) == {
        "msgtype": "stream",
        "stream": {"id": "s1", "finish": False, "content": "so far"},
    }
    item = messages.encode_image_item("AAAA", "md5")
    whole = messages.encode_stream("s1", "done", finish=True, images=[item], feedback_id="f", card=CARD)
    assert json.loads(whole) == {
        "msgtype": "stream_with_template_card",
        "stream": {
            "id": "s1",
            "finish": True,
            "content": "done",
            "msg_item": [{"msgtype": "image", "image": {"base64": "AAAA", "md5": "md5"}}],
            "feedback": {"id": "f"},
        },
        "template_card": CARD,
    }


def test_the_other_replies_are_the_vendor_s():
    assert json.loads(messages.encode_text("hi")) == {"msgtype": "text", "text": {"content": "hi"}}
    assert json.loads(messages.encode_markdown("hi")) == {"msgtype": "markdown", "markdown": {"content": "hi"}}
    assert json.loads(messages.encode_card(CARD)) == {"msgtype": "template_card", "template_card": CARD}
    update = {"response_type": "update_template_card", "template_card": CARD}
    assert json.loads(messages.encode_card_update(CARD)) == update
    assert json.loads(messages.encode_card_update(CARD, userids=iter(["u"]))) == update | {"userids": ["u"]}


def test_replies_are_those_of_the_vectors():
    image = messages.encode_image_item("bm90IHJlYWxseSBhIHBuZw==", "a4f84feadf4cad85108478e074357b33")
    ours = {
        "aibot_reply_stream_first": messages.encode_stream("STREAMID", "", finish=False, feedback_id="FEEDBACKID"),
        "aibot_reply_stream_final_image": messages.encode_stream("STREAMID", "done 👍", finish=True, images=[image]),
        "aibot_reply_welcome_text": messages.encode_text("welcome"),
    }
    for vector in all_vectors("wecom", "generated"):
        if vector["name"] in ours:
            assert ours[vector["name"]].decode() == vector["plaintext"]


@given(nonce=st.text(max_size=20))
@example('"\\\n')
@settings(deadline=None, max_examples=50)
def test_the_envelope_is_json_with_four_fields_whatever_the_nonce(nonce: str):
    envelope = encode_envelope(b"abc+/=", "0a1b", 1767225600, nonce)
    fields = {"encrypt": "abc+/=", "msgsignature": "0a1b", "timestamp": 1767225600, "nonce": nonce}
    assert json.loads(envelope) == fields


FIELDS = st.sampled_from(
    [
        *("msgid", "msgtype", "from", "userid", "quote", "event", "eventtype", "stream", "id", "content", "url"),
        *("text", "mixed", "msg_item", "template_card_event", "selected_items", "option_ids", "feedback_event"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=12,
)
KINDS = st.sampled_from([*BODIES, "stream", "event", "link"])


@given(st.dictionaries(FIELDS, JSON), KINDS, st.sampled_from(["", "template_card_event", "feedback_event"]), JSON)
@settings(deadline=None, max_examples=300)
def test_any_object_is_a_message_or_refused(fields: dict, kind: str, eventtype: str, body: object):
    inner = {"eventtype": eventtype, eventtype: body} if kind == "event" else body
    data = json.dumps({"msgid": "m", **fields, "msgtype": kind, kind: inner}).encode()
    try:
        decoded = decode_message(data)
    except ProtocolError as error:
        assert error.code == PARSE_ERROR  # noqa: PT017 - either way is right: what matters is that nothing else is raised
    else:
        assert decoded.msgid
        assert not isinstance(decoded, UserMessage) or isinstance(decoded.text, str)


@pytest.mark.parametrize(
    ("fields", "payload"),
    [
        (event("enter_chat"), {}),
        (event("feedback_event", {"id": "x", "type": 2}), {"id": "x", "type": 2}),
        (event("something_new", {"a": [1]}), {"a": [1]}),
        (event("something_new", "a word"), {}),
        (card_event(), {"card_type": "button_interaction", "event_key": "yes", "task_id": "task-1"}),
        (message(msgtype="link", link={"url": "u"}), {"url": "u"}),
        (message(), {}),
    ],
)
def test_an_event_s_own_fields_are_its_payload(fields: dict, payload: dict):
    assert payload_of(decode(fields)) == payload
