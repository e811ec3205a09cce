"""The envelope around every community event: bytes or an update of Long Poll to one value, and what names the event.

Layer 3, pure; no time, no secrets compared. Source: VK, Callback API (dev.vk.com/ru/api/callback/getting-started) and
Bots Long Poll API (dev.vk.com/ru/api/bots-long-poll/getting-started). The same events come by both.

The secret stands behind the object in what the platform sends, so nobody is known before the whole body is read:
`decode_envelope` is the hot path of every callback, and makes nothing of the object that may not be needed.
"""

from dataclasses import dataclass

import orjson

from rawbot.errors import ProtocolError
from rawbot.vk.event_types import CONFIRMATION, MESSAGES
from rawbot.vk.fields import MAX_INT, Json, is_int
from rawbot.vk.objects import VKObject, decode_typed

MAX_NAME = 128
"""Characters of a type or an event_id, which label figures and are remembered for hours. A real event_id has 40."""

Key = tuple[int | str, ...]
"""What tells one event from all others."""


@dataclass(slots=True)
class Envelope:
    """An event as it came."""

    type: str
    """Perhaps one that `EVENT_TYPES` does not know."""
    group_id: int
    """The community, positive here; in objects the same is a negative id."""
    event_id: str
    """The same in every delivery of an event; empty in old bodies. The page's own example has a number."""
    v: str
    """The version that the object was made for; empty in old bodies."""
    object: Json
    secret: str | None
    """As the sender has it, compared by nobody yet; None in updates of Long Poll."""
    raw: Json

    def __repr__(self) -> str:
        return f"<Envelope {self.type!r} of {self.group_id}>"  # neither secret nor object in a log line


def decode_envelope(body: bytes) -> Envelope:
    """Return the envelope in a callback's body. Raises `ProtocolError` (400) for what is none."""
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError:  # its text quotes the document
        raise ProtocolError("the body is not JSON") from None
    if type(raw) is not dict:
        raise ProtocolError("the body is not a JSON object")
    secret = raw.get("secret")
    if secret is not None and type(secret) is not str:
        raise ProtocolError("the secret is not a string")
    return _decode(raw, raw.get("group_id"), secret)


def decode_update(value: object, group_id: int) -> Envelope:
    """Return one update of Bots Long Poll, asked for in the name of this community. Raises `ProtocolError`.

    The update may leave out the community, and may not name another.
    """
    if type(value) is not dict:
        raise ProtocolError("the update is not an object")
    named = value.get("group_id")
    envelope = _decode(value, group_id if named is None else named, None)
    if envelope.group_id != group_id:
        raise ProtocolError("the update is another community's")
    return envelope


def decode_object(envelope: Envelope) -> VKObject:
    """Return what the event is about, typed where the type is known, `Raw` for the rest.

    Raises `ProtocolError` when a field has not the vendor's type, or one is missing without which there is no answer.
    """
    return decode_typed(envelope.type, envelope.object)


def dedupe_key(envelope: Envelope) -> Key | None:
    """Return what every delivery of this event has in common and no other event has; None where nothing tells."""
    if envelope.event_id:
        return (envelope.group_id, envelope.event_id)
    return object_key(envelope)


def object_key(envelope: Envelope) -> Key | None:
    """Return the same from the object alone, which only messages and pressed buttons can tell.

    No hash of the object will do in its place: who joins, leaves and joins again has done two equal things.
    """
    if envelope.type == "message_event":
        event_id = envelope.object.get("event_id")
        if type(event_id) is not str or not 0 < len(event_id) <= MAX_NAME:
            return None
        return (envelope.group_id, envelope.type, event_id)
    if envelope.type not in MESSAGES:
        return None
    message = envelope.object.get("message", envelope.object)
    if type(message) is not dict:
        return None
    fields = _KEYS_OF_EDITED if envelope.type == "message_edit" else _KEYS_OF_MESSAGE
    numbers = [number for number in map(message.get, fields) if is_int(number) and number]
    return (envelope.group_id, envelope.type, *numbers) if len(numbers) == len(fields) else None


def _decode(raw: Json, group_id: object, secret: str | None) -> Envelope:
    """Check what every event has, in whatever order it came."""
    kind, content, event_id, version = raw.get("type"), raw.get("object"), raw.get("event_id"), raw.get("v")
    if type(kind) is not str or not 0 < len(kind) <= MAX_NAME:
        raise ProtocolError(f"type is not a string of 1 to {MAX_NAME} characters")
    if type(group_id) is not int or not 0 < group_id <= MAX_INT:
        raise ProtocolError("group_id is not a positive integer")
    if type(content) is not dict:
        content = _without_object(kind, content)
    if type(event_id) is not str:
        event_id = _normalised(event_id)
    if len(event_id) > MAX_NAME:
        raise ProtocolError(f"event_id has more than {MAX_NAME} characters")
    if type(version) is not str:
        version = _without_version(version)
    return Envelope(kind, group_id, event_id, version, content, secret, raw)


def _without_object(kind: str, content: object) -> Json:
    if content is None and kind == CONFIRMATION:
        return {}
    raise ProtocolError("object is not an object")


def _normalised(event_id: object) -> str:
    if event_id is None:
        return ""
    if type(event_id) is not int:
        raise ProtocolError("event_id is neither a string nor an integer")
    return str(event_id)


def _without_version(version: object) -> str:
    if version is not None:
        raise ProtocolError("v is not a string")
    return ""


_KEYS_OF_MESSAGE = ("peer_id", "conversation_message_id")
_KEYS_OF_EDITED = (*_KEYS_OF_MESSAGE, "update_time")
