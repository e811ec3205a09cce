"""Events on their way out: the value, the rules that it has to keep, and the nineteen of the standard ready to be made.

Layer 3, pure. Source: OneBot 12, connect/data-protocol/event; interface/meta/events and the pages of the other kinds.
An event without id or time is given them by who emits it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from math import isfinite
from typing import TypeGuard

from rawbot.errors import StateError
from rawbot.onebot.messages import Account, Message, Segment, alt_message, encode_message, text

TYPES = frozenset(("meta", "message", "notice", "request"))
"""The standard allows no others."""

MAX_DEPTH = 100
"""Lists and objects inside each other in an event; a codec would not take many more."""


@dataclass(slots=True, repr=False)
class OneBotEvent:
    """Something that happened, for all applications."""

    type: str
    """meta, message, notice or request."""
    detail_type: str
    _: KW_ONLY
    sub_type: str = ""
    bot: Account | None = None
    """`self`: whom it happened to. Meta events have none."""
    id: str = ""
    """Unlike that of any other event."""
    time: float = 0.0
    """When it happened, Unix seconds: the platform's word for it where there is one."""
    fields: dict[str, object] = field(default_factory=dict)
    """All else. Messages, lists of segments, are encoded on the way out."""

    def __repr__(self) -> str:
        return f"<OneBotEvent {self.type}.{self.detail_type}>"  # what was said stays out of logs


def encode_event(event: OneBotEvent) -> dict[str, object]:
    """Return the event for the wire: the fields of every event first, then its own in their order.

    Raises `StateError` for what is no event: a type that the standard does not have, no bot or a bot too many, no
    detail_type, a time that is no number, a field that is named like one of every event, a key that is no string, or
    two keys of which one continues the other after a dot (as "qq" and "qq.id": applications make objects of dotted
    keys, and NoneBot closes the connection at such a pair).
    """
    _check(event)
    encoded: dict[str, object] = {
        "id": event.id,
        "time": float(event.time),
        "type": event.type,
        "detail_type": event.detail_type,
        "sub_type": event.sub_type,
    }
    if event.bot is not None:
        encoded["self"] = event.bot.encode()
    for key, value in event.fields.items():
        encoded[key] = encode_message(value) if _is_message(value) else value
    _check_keys(encoded, event, MAX_DEPTH)
    return encoded


def connect(version: Mapping[str, object]) -> OneBotEvent:
    """Return the first event on a WebSocket. `version` is what `get_version` answers."""
    return OneBotEvent("meta", "connect", fields={"version": dict(version)})


def heartbeat(interval_ms: int) -> OneBotEvent:
    """Return the sign of life; the next one follows in `interval_ms`."""
    return OneBotEvent("meta", "heartbeat", fields={"interval": interval_ms})


def status_update(status: Mapping[str, object]) -> OneBotEvent:
    """Return the event that tells how the bots are. `status` is what `get_status` answers, or the part that changed."""
    return OneBotEvent("meta", "status_update", fields={"status": dict(status)})


def private_message(
    bot: Account,
    message: Message | str,
    user_id: str,
    message_id: str,
    *,
    sub_type: str = "",
    time: float = 0.0,
    **fields: object,
) -> OneBotEvent:
    """Return a message to the bot alone. `alt_message` is made of the message unless it is among the fields."""
    own: dict[str, object] = {"message_id": message_id, "user_id": user_id}
    return _message("private", bot, message, own | fields, sub_type=sub_type, time=time)


def group_message(
    bot: Account,
    message: Message | str,
    user_id: str,
    message_id: str,
    *,
    group_id: str,
    sub_type: str = "",
    time: float = 0.0,
    **fields: object,
) -> OneBotEvent:
    """Return a message in a group. `alt_message` as in `private_message`."""
    own: dict[str, object] = {"message_id": message_id, "user_id": user_id, "group_id": group_id}
    return _message("group", bot, message, own | fields, sub_type=sub_type, time=time)


def channel_message(
    bot: Account,
    message: Message | str,
    user_id: str,
    message_id: str,
    *,
    guild_id: str,
    channel_id: str,
    sub_type: str = "",
    time: float = 0.0,
    **fields: object,
) -> OneBotEvent:
    """Return a message in a channel of a guild. `alt_message` as in `private_message`."""
    own: dict[str, object] = {"message_id": message_id, "user_id": user_id}
    own |= {"guild_id": guild_id, "channel_id": channel_id}
    return _message("channel", bot, message, own | fields, sub_type=sub_type, time=time)


def notice(detail_type: str, bot: Account, *, sub_type: str = "", time: float = 0.0, **fields: object) -> OneBotEvent:
    """Return a notice: one of `NOTICES`, or one of the platform's own.

    Raises `StateError` when one of the standard lacks a field.
    """
    missing = [key for key in NOTICES.get(detail_type, ()) if key not in fields]
    if missing:
        raise StateError(f"notice.{detail_type} needs {', '.join(missing)}")
    return OneBotEvent("notice", detail_type, sub_type=sub_type, bot=bot, time=time, fields=fields)


def request(detail_type: str, bot: Account, *, sub_type: str = "", time: float = 0.0, **fields: object) -> OneBotEvent:
    """Return a request, which is always of the platform's own: the standard has none."""
    return OneBotEvent("request", detail_type, sub_type=sub_type, bot=bot, time=time, fields=fields)


_IN_GROUP = ("group_id", "user_id", "operator_id")
_IN_GUILD = ("guild_id", "user_id", "operator_id")
_IN_CHANNEL = ("guild_id", "channel_id", "user_id", "operator_id")

NOTICES: dict[str, tuple[str, ...]] = {
    # the standard's: the fields that each must have
    "friend_increase": ("user_id",),
    "friend_decrease": ("user_id",),
    "private_message_delete": ("message_id", "user_id"),
    "group_member_increase": _IN_GROUP,
    "group_member_decrease": _IN_GROUP,
    "group_message_delete": ("group_id", "message_id", "user_id", "operator_id"),
    "guild_member_increase": _IN_GUILD,
    "guild_member_decrease": _IN_GUILD,
    "channel_member_increase": _IN_CHANNEL,
    "channel_member_decrease": _IN_CHANNEL,
    "channel_message_delete": ("guild_id", "channel_id", "message_id", "user_id", "operator_id"),
    "channel_create": ("guild_id", "channel_id", "operator_id"),
    "channel_delete": ("guild_id", "channel_id", "operator_id"),
}

_BASE = frozenset(("id", "time", "type", "detail_type", "sub_type", "self"))
_NESTING = (dict, list, tuple)
_Nesting = dict[str, object] | list[object] | tuple[object, ...]


def _message(
    detail_type: str, bot: Account, message: Message | str, fields: dict[str, object], *, sub_type: str, time: float
) -> OneBotEvent:
    segments = [text(message)] if isinstance(message, str) else message
    all_fields: dict[str, object] = {"message": segments, "alt_message": alt_message(segments)}
    return OneBotEvent("message", detail_type, sub_type=sub_type, bot=bot, time=time, fields=all_fields | fields)


def _is_message(value: object) -> TypeGuard[Message]:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Segment) for item in value)


def _check(event: OneBotEvent) -> None:
    if event.type not in TYPES:
        raise StateError(f"{event!r}: there is no such type of event")
    if not event.detail_type:
        raise StateError(f"{event!r} has no detail_type")
    if (event.bot is None) is not (event.type == "meta"):
        raise StateError(f"{event!r} {'needs a' if event.bot is None else 'has no'} bot")
    if not isfinite(event.time):
        raise StateError(f"{event!r}: its time is no time")
    if not _BASE.isdisjoint(event.fields):
        raise StateError(f"{event!r}: {min(_BASE & event.fields.keys())} is no name for a field: every event has it")


def _check_keys(value: _Nesting, event: OneBotEvent, depth: int) -> None:
    """Raise `StateError` for keys that an application cannot read."""
    if not depth:
        raise StateError(f"{event!r} is nested too deeply")
    inners: Iterable[object] = value
    if isinstance(value, dict):
        try:
            if "." in "".join(value):
                _check_dotted(value, event)
        except TypeError:
            raise StateError(f"{event!r}: a key is no string") from None
        inners = value.values()
    for inner in inners:
        if isinstance(inner, _NESTING):
            _check_keys(inner, event, depth - 1)


def _check_dotted(holder: dict[str, object], event: OneBotEvent) -> None:
    for key in holder:
        start = key
        while "." in start:
            start = start.rpartition(".")[0]
            if start in holder:
                raise StateError(f"{event!r}: {start!r} and {key!r} cannot both be keys: one continues the other")
