"""Events of OneBot 12 as OneBot 11 tells them, and the two meta events.

Layer 3, pure. Source: OneBot 11, event/message, event/notice, event/meta. What 11 has no word for (channels, a friend
who leaves, requests, extensions) is not told: the answer is None.
"""

from collections.abc import Callable

from rawbot.errors import StateError
from rawbot.onebot.events import OneBotEvent
from rawbot.onebot.messages import Message, Segment, decode_message
from rawbot.onebot.retcodes import BAD_HANDLER, ActionError
from rawbot.onebot.v11.cq import encode_cq
from rawbot.onebot.v11.face import Face, Json
from rawbot.onebot.v11.segments import encode_segments

NOBODY = 0
"""The number of an operator whom nobody named: 11 demands the field."""


def encode_event(event: OneBotEvent, face: Face) -> Json | None:
    """Return the event as an object of OneBot 11; None for what 11 does not know, and for other bots' events.

    A message is remembered for `get_msg`; it may be as it is on the wire. Raises `StateError` for an event that lacks a
    field which OneBot 12 demands, `ActionError` for a message that is none.
    """
    if event.type == "meta":
        return _encode_meta(event, face)
    if event.bot is None or (event.bot.platform, event.bot.user_id) != (face.bot.platform, face.bot.user_id):
        return None
    encode = _ENCODERS.get((event.type, event.detail_type))
    return None if encode is None else encode(event, face)


def _encode_meta(event: OneBotEvent, face: Face) -> Json | None:
    if event.detail_type == "connect":
        return lifecycle("connect", face, event.time)
    if event.detail_type == "heartbeat":
        return heartbeat(event.fields.get("interval"), face, event.time)
    return None


def lifecycle(sub_type: str, face: Face, now: float) -> Json:
    """Return the meta event that opens a WebSocket (`connect`), or tells a posted-to server of start and end.

    Those are `enable` and `disable`. `now` is Unix seconds.
    """
    return _meta("lifecycle", face, now, sub_type=sub_type)


def heartbeat(interval: object, face: Face, now: float) -> Json:
    """Return the sign of life; the next one follows in `interval` milliseconds."""
    return _meta("heartbeat", face, now, status=encode_status(face.status(), face), interval=interval)


def _meta(kind: str, face: Face, now: float, **fields: object) -> Json:
    base: Json = {"time": int(now), "self_id": face.self_id, "post_type": "meta_event", "meta_event_type": kind}
    return base | fields


def encode_status(status: object, face: Face) -> Json:
    """Return the data of OneBot 12's `get_status` as 11 has it: of the one bot of this face.

    Raises `ActionError` with `BAD_HANDLER` when that is no such data.
    """
    bots = status.get("bots") if isinstance(status, dict) else None
    if not isinstance(status, dict) or not isinstance(bots, list):
        raise ActionError(BAD_HANDLER, "get_status has to answer with good and bots")
    wanted = (face.bot.platform, face.bot.user_id)
    online = any(_names(bot) == wanted and bot.get("online") is True for bot in bots)
    return {"online": online, "good": status.get("good") is True and online}


def _names(bot: object) -> tuple[object, object] | None:
    named = bot.get("self") if isinstance(bot, dict) else None
    return (named.get("platform"), named.get("user_id")) if isinstance(named, dict) else None


def _start(event: OneBotEvent, face: Face, **fields: object) -> Json:
    base: Json = {"time": int(event.time), "self_id": face.self_id, "post_type": event.type}
    return base | fields


def _text(event: OneBotEvent, name: str) -> str:
    value = event.fields.get(name)
    if not isinstance(value, str):
        raise StateError(f"the event {event.type}.{event.detail_type} has no {name}")
    return value


def _user(event: OneBotEvent, face: Face, name: str = "user_id") -> int:
    return face.ids.users.encode(_text(event, name))


def _operator(event: OneBotEvent, face: Face) -> int:
    return _user(event, face, "operator_id") if event.fields.get("operator_id") else NOBODY


def _message_id(event: OneBotEvent, face: Face) -> int:
    return face.ids.messages.encode(_text(event, "message_id"))


def _private_message(event: OneBotEvent, face: Face) -> Json:
    sub_type = event.sub_type if event.sub_type in ("friend", "group", "other") else "friend"
    return _message(event, face, sub_type, {}, _sender(event, face))


def _group_message(event: OneBotEvent, face: Face) -> Json:
    sub_type = event.sub_type if event.sub_type in ("normal", "notice") else "normal"
    member: Json = {"card": _said(event, "user_displayname"), "area": "", "level": "", "role": "member", "title": ""}
    place: Json = {"group_id": _user(event, face, "group_id"), "anonymous": None}
    return _message(event, face, sub_type, place, _sender(event, face) | member)


def _sender(event: OneBotEvent, face: Face) -> Json:
    """Return who it was, as far as is known; without a name the id stands for it, which 11 would hide otherwise."""
    nickname = _said(event, "user_name") or _text(event, "user_id")
    return {"user_id": _user(event, face), "nickname": nickname, "sex": "unknown", "age": 0}


def _said(event: OneBotEvent, name: str) -> str:
    value = event.fields.get(name)
    return value if isinstance(value, str) else ""


def _message(event: OneBotEvent, face: Face, sub_type: str, place: Json, sender: Json) -> Json:
    message_id = _message_id(event, face)
    segments = encode_segments(_message_of(event), face.ids)
    kind = event.detail_type
    facts: Json = {"time": int(event.time), "message_type": kind, "message_id": message_id, "real_id": message_id}
    face.recent.add(message_id, facts | {"sender": sender}, segments)
    head = _start(event, face, message_type=kind, sub_type=sub_type, message_id=message_id, user_id=sender["user_id"])
    message = {"message": face.write_message(segments), "raw_message": encode_cq(segments)}
    return head | place | message | {"font": 0, "sender": sender}


def _message_of(event: OneBotEvent) -> Message:
    message = event.fields.get("message")
    if not isinstance(message, list):
        raise StateError(f"the event {event.type}.{event.detail_type} has no message")
    return message if all(isinstance(item, Segment) for item in message) else decode_message(message)


def _friend_add(event: OneBotEvent, face: Face) -> Json:
    return _start(event, face, notice_type="friend_add", user_id=_user(event, face))


def _friend_recall(event: OneBotEvent, face: Face) -> Json:
    message_id = _message_id(event, face)
    return _start(event, face, notice_type="friend_recall", user_id=_user(event, face), message_id=message_id)


def _group_notice(event: OneBotEvent, face: Face, kind: str, **fields: object) -> Json:
    group_id, user_id = _user(event, face, "group_id"), _user(event, face)
    operator_id = _operator(event, face)
    head = _start(event, face, notice_type=kind, **fields)
    return head | {"group_id": group_id, "operator_id": operator_id, "user_id": user_id}


def _group_increase(event: OneBotEvent, face: Face) -> Json:
    sub_type = "invite" if event.sub_type == "invite" else "approve"
    return _group_notice(event, face, "group_increase", sub_type=sub_type)


def _group_decrease(event: OneBotEvent, face: Face) -> Json:
    kicked = "kick_me" if _text(event, "user_id") == face.bot.user_id else "kick"
    return _group_notice(event, face, "group_decrease", sub_type=kicked if event.sub_type == "kick" else "leave")


def _group_recall(event: OneBotEvent, face: Face) -> Json:
    return _group_notice(event, face, "group_recall", message_id=_message_id(event, face))


_ENCODERS: dict[tuple[str, str], Callable[[OneBotEvent, Face], Json]] = {
    ("message", "private"): _private_message,
    ("message", "group"): _group_message,
    ("notice", "friend_increase"): _friend_add,
    ("notice", "private_message_delete"): _friend_recall,
    ("notice", "group_member_increase"): _group_increase,
    ("notice", "group_member_decrease"): _group_decrease,
    ("notice", "group_message_delete"): _group_recall,
}
