"""Messages: lists of segments, read from what applications send and written to what they get; and who a bot is.

Layer 3, pure. Source: OneBot 12, interface/message; connect/data-protocol/basic-types (self). Segments of the standard
are checked as the standard has them; of those that it does not know only the shape is.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from sys import float_info

from rawbot.onebot.retcodes import BAD_PARAM, BAD_REQUEST, BAD_SEGMENT_DATA, ActionError

MAX_SHOWN = 64
"""Characters of a segment's type, a word of the peer's choice, that an error text repeats."""


@dataclass(slots=True, unsafe_hash=True)
class Account:
    """A bot: what the standard calls `self`. Two are the same when platform and user_id are; neither may be changed."""

    platform: str
    user_id: str
    extra: dict[str, object] = field(default_factory=dict, repr=False, compare=False)
    """Fields beyond the standard's."""

    def encode(self) -> dict[str, object]:
        """Return the object for the wire."""
        return {"platform": self.platform, "user_id": self.user_id, **self.extra}


@dataclass(slots=True, repr=False)
class Segment:
    """One part of a message."""

    type: str
    data: dict[str, object]

    def __repr__(self) -> str:
        return f"<Segment {self.type}>"  # what was said stays out of logs


Message = list[Segment]
"""What is said: segments in their order."""


def decode_account(value: object) -> Account:
    """Return the bot that `self` names. Raises `ActionError` (10001) without platform and user_id."""
    if not isinstance(value, dict):
        raise ActionError(BAD_REQUEST, "self is not an object")
    platform, user_id = value.get("platform"), value.get("user_id")
    if not isinstance(platform, str) or not isinstance(user_id, str):
        raise ActionError(BAD_REQUEST, "self needs platform and user_id, two strings")
    if len(value) == _FIELDS_OF_SELF:
        return Account(platform, user_id)
    return Account(platform, user_id, {key: item for key, item in value.items() if key not in ("platform", "user_id")})


def decode_message(value: object) -> Message:
    """Return the message in a parameter: a list of segments, one segment, or a string for one of text.

    The segments hold the very objects that were given. Raises `ActionError`: 10003 when it is none of the three, 10006
    when a field of one of the ten standard segments is missing or of the wrong type, or when any segment's data has a
    field `type`.
    """
    if isinstance(value, str):
        return [Segment("text", {"text": value})]
    if isinstance(value, list):
        return [_decode_segment(item) for item in value]
    if isinstance(value, dict):
        return [_decode_segment(value)]
    raise ActionError(BAD_PARAM, "a message is a list of segments, one segment or a string")


def encode_message(message: Message) -> list[dict[str, object]]:
    """Return the message for the wire. It holds the data of the segments, not copies."""
    return [{"type": segment.type, "data": segment.data} for segment in message]


def alt_message(message: Message) -> str:
    """Return a stand-in in plain text: texts as they are, "@user" for a mention, the type in brackets for the rest."""
    return "".join(map(_stand_in, message))


def text(content: str) -> Segment:
    """Return words."""
    return Segment("text", {"text": content})


def mention(user_id: str) -> Segment:
    """Return the mention of a user."""
    return Segment("mention", {"user_id": user_id})


def mention_all() -> Segment:
    """Return the mention of everybody."""
    return Segment("mention_all", {})


def image(file_id: str) -> Segment:
    """Return a picture."""
    return Segment("image", {"file_id": file_id})


def voice(file_id: str) -> Segment:
    """Return what somebody said into a microphone."""
    return Segment("voice", {"file_id": file_id})


def audio(file_id: str) -> Segment:
    """Return a sound file."""
    return Segment("audio", {"file_id": file_id})


def video(file_id: str) -> Segment:
    """Return a film."""
    return Segment("video", {"file_id": file_id})


def file(file_id: str) -> Segment:
    """Return any other file."""
    return Segment("file", {"file_id": file_id})


def location(latitude: float, longitude: float, title: str = "", content: str = "") -> Segment:
    """Return a place, in degrees, with its name and its address."""
    data: dict[str, object] = {"latitude": float(latitude), "longitude": float(longitude)}
    return Segment("location", data | {"title": title, "content": content})


def reply(message_id: str, user_id: str | None = None) -> Segment:
    """Return the reference to the message that this one answers, and its author where known."""
    data: dict[str, object] = {"message_id": message_id}
    return Segment("reply", data if user_id is None else data | {"user_id": user_id})


def _decode_segment(value: object) -> Segment:
    if not isinstance(value, dict):
        raise ActionError(BAD_PARAM, "a segment is not an object")
    kind, data = value.get("type"), value.get("data")
    if not isinstance(kind, str) or not kind:
        raise ActionError(BAD_PARAM, "a segment has no type")
    if not isinstance(data, dict):
        raise ActionError(BAD_PARAM, f"data of a segment {_shown(kind)} is not an object")
    if "type" in data:
        raise ActionError(BAD_SEGMENT_DATA, f"data of a segment {_shown(kind)} has a field type")
    for key in _STRINGS.get(kind, ()):
        if not isinstance(data.get(key), str):
            raise ActionError(BAD_SEGMENT_DATA, f"{key} of a segment {kind} is not a string")
    check = _CHECKS.get(kind)
    return Segment(kind, data if check is None else check(data))


def _check_location(data: dict[str, object]) -> dict[str, object]:
    """Make floats of both degrees: an application may leave out the ".0"."""
    return data | {key: _degrees(key, data.get(key)) for key in ("latitude", "longitude")}


def _degrees(key: str, value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= float_info.max:
        return float(value)
    raise ActionError(BAD_SEGMENT_DATA, f"{key} of a segment location is not a number")


def _check_reply(data: dict[str, object]) -> dict[str, object]:
    """Take a null for the author, who is optional in what is sent, as if he were not named."""
    user_id = data.get("user_id", "")
    if isinstance(user_id, str):
        return data
    if user_id is None:
        return {key: value for key, value in data.items() if key != "user_id"}
    raise ActionError(BAD_SEGMENT_DATA, "user_id of a segment reply is not a string")


def _stand_in(segment: Segment) -> str:
    if segment.type == "text":
        return str(segment.data.get("text", ""))
    if segment.type == "mention":
        return f"@{segment.data.get('user_id', '')}"
    return "@all" if segment.type == "mention_all" else f"[{segment.type}]"


def _shown(kind: str) -> str:
    return kind if len(kind) <= MAX_SHOWN and kind.isprintable() else "(of a type that is not shown)"


_FIELDS_OF_SELF = 2
_FILE = ("file_id",)
_STRINGS: dict[str, tuple[str, ...]] = {
    # type of segment: what must be a string in it
    "text": ("text",),
    "mention": ("user_id",),
    "mention_all": (),
    "image": _FILE,
    "voice": _FILE,
    "audio": _FILE,
    "video": _FILE,
    "file": _FILE,
    "location": ("title", "content"),
    "reply": ("message_id",),
}
_CHECKS: dict[str, Callable[[dict[str, object]], dict[str, object]]] = {
    "location": _check_location,
    "reply": _check_reply,
}
