"""WeCom's messages: decrypted JSON to typed values, and replies to JSON. Stateless; no crypto, no time.

Layer 3. Source: developer.work.weixin.qq.com/document/path/100719 (messages), 101027 (events), 101031 (replies),
101138 (active replies). Field names are the vendor's; `from.userid` is `sender`. The whole decoded object stays in
`raw`, for fields that the vendor adds.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson

from rawbot.errors import ProtocolError
from rawbot.wecom.crypto import PARSE_ERROR
from rawbot.wecom.envelope import load_object

Json = dict[str, Any]
"""A decoded JSON object: the codec is where `Any` ends."""


class Private:
    """What a user sent: its repr tells the kind and nothing else, since words and URLs stay out of logs."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


@dataclass(slots=True, repr=False)
class Text(Private):
    """`text`: what was typed. In groups it begins with the literal "@RobotName "."""

    content: str


@dataclass(slots=True, repr=False)
class Image(Private):
    """`image`: an encrypted file that can be downloaded for five minutes."""

    url: str


@dataclass(slots=True, repr=False)
class Voice(Private):
    """`voice`: speech, already transcribed by the platform; there is no audio."""

    content: str


@dataclass(slots=True, repr=False)
class File(Private):
    """`file`: encrypted, downloadable for five minutes, up to 100 MB; the name where the platform tells it."""

    url: str
    filename: str = ""


@dataclass(slots=True, repr=False)
class Video(Private):
    """`video`: as a file."""

    url: str


@dataclass(slots=True, repr=False)
class Mixed(Private):
    """`mixed`: texts and images in the order in which the user arranged them."""

    items: "tuple[Content, ...]"


@dataclass(slots=True, repr=False)
class Unknown(Private):
    """A kind of content that this version does not know."""

    msgtype: str
    value: object


Content = Text | Image | Voice | File | Video | Mixed | Unknown


@dataclass(slots=True)
class Incoming:
    """What every callback says."""

    msgid: str
    """Unique per callback; a repeated delivery has the same."""
    aibotid: str
    chattype: str
    """`single` or `group`; empty where the platform leaves it out."""
    chatid: str
    """Only in groups."""
    sender: str
    response_url: str
    """For one active reply within an hour; empty where there is none."""
    raw: Json

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.msgid}>"  # content and response_url stay out of logs


@dataclass(slots=True, repr=False)
class UserMessage(Incoming):
    """What a user wrote."""

    content: Content
    quote: Content | None

    @property
    def text(self) -> str:
        """The words of it: typed or spoken; the parts of a mixed message on lines of their own."""
        return text_of(self.content)


@dataclass(slots=True, repr=False)
class Refresh(Incoming):
    """`stream`: the platform asks how a stream looks by now."""

    stream_id: str


@dataclass(slots=True, repr=False)
class EnterChat(Incoming):
    """`enter_chat`: the user opened the single chat for the first time that day."""


@dataclass(slots=True, repr=False)
class CardEvent(Incoming):
    """`template_card_event`: a button was pressed or a choice submitted. Five seconds to answer, no retry."""

    card_type: str
    event_key: str
    task_id: str
    selected: dict[str, list[str]]
    """The chosen option ids by question_key."""


@dataclass(slots=True, repr=False)
class FeedbackEvent(Incoming):
    """`feedback_event`: the user judged an answer. Nothing may be said to it."""

    feedback_id: str
    """The id that was set on the first reply."""
    type: int
    """1 good, 2 bad, 3 withdrawn."""
    content: str
    inaccurate_reason_list: list[int]
    """1 off topic, 2 incomplete, 3 wrong, 4 data analysis wrong."""


@dataclass(slots=True, repr=False)
class UnknownEvent(Incoming):
    """An event, or a msgtype, that this version does not know. To be acknowledged with an empty 200."""

    name: str


Message = UserMessage | Refresh | EnterChat | CardEvent | FeedbackEvent | UnknownEvent


def decode_message(data: bytes) -> Message:
    """Return the message in a decrypted callback. Raises `ProtocolError` (-40002) when it is not one."""
    raw = load_object(data, "the message")
    common = _common(raw)
    msgtype = _str(raw, "msgtype")
    if not common[0]:
        raise ProtocolError("the message has no msgid", code=PARSE_ERROR)
    if msgtype == "stream":
        return Refresh(*common, stream_id=_str(_dict(raw, "stream"), "id"))
    if msgtype == "event":
        return _decode_event(common, _dict(raw, "event"))
    if msgtype not in _CONTENTS:
        return UnknownEvent(*common, name=msgtype)
    quote = _decode_content(_dict(raw, "quote")) if raw.get("quote") else None
    return UserMessage(*common, _decode_content(raw), quote)


def strip_mention(text: str, *, bot_name: str | None = None) -> str:
    """Take the "@RobotName " off the front of a group message.

    Without `bot_name` the first word is taken off when it begins with `@`, which is right for names without spaces.
    """
    if bot_name is None:
        return _MENTION.sub("", text, count=1)
    mention = f"@{bot_name}"
    if not text.startswith(mention):
        return text
    rest = text[len(mention) :]
    return rest.lstrip() if not rest or rest[0].isspace() else text


def contents(message: UserMessage) -> list[Content]:
    """List the message's parts and then those of its quote, mixed ones taken apart."""
    parts: list[Content] = []
    for content in (message.content, message.quote):
        if isinstance(content, Mixed):
            parts.extend(content.items)
        elif content is not None:
            parts.append(content)
    return parts


def payload_of(message: Incoming) -> Json:
    """Return what an event, or a message of an unknown kind, says in the field that is named after it."""
    holder = message.raw
    kind = holder.get("msgtype")
    if kind == "event":
        holder = _dict(holder, "event")
        kind = holder.get("eventtype")
    value = holder.get(str(kind))
    return value if isinstance(value, dict) else {}


def encode_stream(
    stream_id: str,
    content: str,
    *,
    finish: bool,
    images: Sequence[Json] = (),
    feedback_id: str | None = None,
    card: Json | None = None,
) -> bytes:
    """Return a stream reply: the whole text so far (`content` replaces the bubble), images only with `finish`."""
    stream: Json = {"id": stream_id, "finish": finish, "content": content}
    if images:
        stream["msg_item"] = images
    if feedback_id is not None:
        stream["feedback"] = {"id": feedback_id}
    if card is None:
        return orjson.dumps({"msgtype": "stream", "stream": stream})
    return orjson.dumps({"msgtype": "stream_with_template_card", "stream": stream, "template_card": card})


def encode_image_item(base64: str, md5: str) -> Json:
    """Return one `msg_item`: base64 of a JPG or PNG and the md5 of the bytes before base64."""
    return {"msgtype": "image", "image": {"base64": base64, "md5": md5}}


def encode_text(content: str) -> bytes:
    """Return a text reply; the platform takes it for enter_chat only."""
    return orjson.dumps({"msgtype": "text", "text": {"content": content}})


def encode_card(card: Json) -> bytes:
    """Return a card as a passive or active reply."""
    return orjson.dumps({"msgtype": "template_card", "template_card": card})


def encode_card_update(card: Json, *, userids: Iterable[str] = ()) -> bytes:
    """Return the answer to a card event that changes the card, for these users or, without any, for all."""
    update: Json = {"response_type": "update_template_card", "template_card": card}
    if users := list(userids):
        update["userids"] = users
    return orjson.dumps(update)


def encode_markdown(content: str) -> bytes:
    """Return the body of an active reply, sent unencrypted to a response_url (doc 101138)."""
    return orjson.dumps({"msgtype": "markdown", "markdown": {"content": content}})


_WORDS = (Text, Voice)  # a tuple made once: `Text | Voice` is made anew at each look, 0.2 µs
_MENTION = re.compile(r"\A@\S+(?:\s+|\Z)")

_CONTENTS: dict[str, Callable[[Json], Content]] = {
    "text": lambda body: Text(_str(body, "content")),
    "image": lambda body: Image(_str(body, "url")),
    "voice": lambda body: Voice(_str(body, "content")),
    "file": lambda body: File(_str(body, "url"), _str(body, "filename")),
    "video": lambda body: Video(_str(body, "url")),
    "mixed": lambda body: Mixed(tuple(_decode_item(item) for item in _dicts(body, "msg_item"))),
}


_Common = tuple[str, str, str, str, str, str, Json]
"""The fields of `Incoming`."""


def _common(raw: Json) -> _Common:
    return (
        _str(raw, "msgid"),
        _str(raw, "aibotid"),
        _str(raw, "chattype"),
        _str(raw, "chatid"),
        _str(_dict(raw, "from"), "userid"),
        _str(raw, "response_url"),
        raw,
    )


def _decode_content(holder: Json) -> Content:
    """Decode what stands in the field that is named after the msgtype: the same in messages, quotes and items."""
    msgtype = _str(holder, "msgtype")
    decode = _CONTENTS.get(msgtype)
    if decode is None:
        return Unknown(msgtype, holder.get(msgtype))
    return decode(_dict(holder, msgtype))


def _decode_item(item: Json) -> Content:
    """Decode an item of a mixed message. A mixed one inside is unknown to the vendor, and could nest without end."""
    return Unknown("mixed", item.get("mixed")) if item.get("msgtype") == "mixed" else _decode_content(item)


def _decode_event(common: _Common, event: Json) -> Message:
    name = _str(event, "eventtype")
    if name == "enter_chat":
        return EnterChat(*common)
    if name == "template_card_event":
        body = _dict(event, name)
        return CardEvent(
            *common,
            card_type=_either(body, "card_type", "CardType", "cardType"),
            event_key=_either(body, "event_key", "EventKey", "eventKey"),
            task_id=_either(body, "task_id", "TaskId", "taskId"),
            selected=_selected(body),
        )
    if name == "feedback_event":
        body = _dict(event, name)
        kind, reasons = body.get("type"), body.get("inaccurate_reason_list")
        return FeedbackEvent(
            *common,
            feedback_id=_str(body, "id"),
            type=kind if isinstance(kind, int) else 0,
            content=_str(body, "content"),
            inaccurate_reason_list=[r for r in reasons if isinstance(r, int)] if isinstance(reasons, list) else [],
        )
    return UnknownEvent(*common, name=name or "event")


def _selected(body: Json) -> dict[str, list[str]]:
    """Read `selected_items.selected_item[{question_key, option_ids.option_id[]}]`, leniently: samples differ."""
    items = body.get("selected_items")
    if isinstance(items, dict):
        items = items.get("selected_item")
    selected: dict[str, list[str]] = {}
    for item in items if isinstance(items, list) else ():
        if not isinstance(item, dict):
            continue
        ids = item.get("option_ids")
        if isinstance(ids, dict):
            ids = ids.get("option_id")
        ids = [ids] if isinstance(ids, str) else ids
        selected[_str(item, "question_key")] = [i for i in ids if isinstance(i, str)] if isinstance(ids, list) else []
    return selected


def text_of(content: Content) -> str:
    """Return the words of a content: typed or spoken; the parts of a mixed one on lines of their own."""
    if isinstance(content, _WORDS):
        return content.content
    if isinstance(content, Mixed):
        return "\n".join(filter(None, map(text_of, content.items)))
    return ""


def _str(holder: Json, key: str) -> str:
    value = holder.get(key)
    if isinstance(value, str):
        return value
    if value is not None:
        raise ProtocolError(f"{key} is not a string", code=PARSE_ERROR)
    return ""


def _either(holder: Json, *keys: str) -> str:
    return next(filter(None, (_str(holder, key) for key in keys)), "")


def _dict(holder: Json, key: str) -> Json:
    value = holder.get(key)
    if isinstance(value, dict):
        return value
    if value is not None:
        raise ProtocolError(f"{key} is not an object", code=PARSE_ERROR)
    return {}


def _dicts(holder: Json, key: str) -> list[Json]:
    value = holder.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ProtocolError(f"{key} is not a list of objects", code=PARSE_ERROR)
    return cast("list[Json]", value)
