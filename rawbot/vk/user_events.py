"""Reads the arrays of user Long Poll: a table from codes to what they mean, and nothing that fails for a strange one.

Layer 3, pure. Source: VK, User Long Poll API, version 3 (dev.vk.com/ru/api/user-long-poll/getting-started), with mode
234: attachments, extended events, pts, platforms and random_ids. Codes and fields that the page does not know it says
to ignore: here they come as `RawUpdate`, and so does what is too short or has other types than the page's.

Two things differ between the page, its examples and what comes, so that types decide there in place of positions:
`minor_id` may stand before the peer of a new message, and the list of those who type before or behind their peer.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, TypeVar

from rawbot.errors import ProtocolError
from rawbot.vk.entities import decode_text
from rawbot.vk.fields import Json, is_int, read_int
from rawbot.vk.peers import CHAT_BASE
from rawbot.vk.user_objects import (
    Call,
    Change,
    ChatChanged,
    ChatInfoChanged,
    Counter,
    DialogFlagsChanged,
    DialogMoved,
    EditedMessage,
    FlagsChanged,
    MessagesDeleted,
    MessagesRead,
    MessagesRestored,
    MessageUpdate,
    NewMessage,
    NotificationSettings,
    Presence,
    RawUpdate,
    Typing,
    UserEvent,
)

Update = list[object]
Message = TypeVar("Message", bound=MessageUpdate)
Activity = Literal["typing", "recording", "photo", "video", "file", "video_message"]


def decode_user_update(update: object) -> UserEvent:
    """Return what an update says. Raises `ProtocolError` only for what is no list that begins with an integer."""
    if not isinstance(update, list) or not update or not is_int(update[0]):
        raise ProtocolError("the update is not a list that begins with an integer")
    code = update[0]
    decode = _DECODERS.get(code)
    if decode is None:
        return RawUpdate(code, update)
    try:
        return decode(code, update)
    except ProtocolError:  # not as the page has it
        return RawUpdate(code, update)


def _int(update: Update, index: int) -> int:
    value = update[index] if index < len(update) else None
    if not is_int(value):
        raise ProtocolError("an integer is missing")
    return value


def _optional(update: Update, index: int) -> int:
    """Read a number that may be left out together with all that follows it."""
    return _int(update, index) if index < len(update) else 0


def _message(make: Callable[..., Message], code: int, update: Update) -> Message:
    """Read `[code, id, flags, peer_id, date, text, {extra}, {attachments}, random_id, …]`, or as much of it as came."""
    identity, flags = _int(update, 1), _int(update, 2)
    text_at = _find_text(update)
    if not text_at:
        bare: tuple[object, ...] = (_optional(update, 3), _optional(update, 4), "", {}, {}, 0, 0, 0)
        return make(code, update, identity, flags, *bare, complete=False)
    rest = update[text_at + 1 :]
    objects = [_to_dict(item) for item in rest if isinstance(item, _OBJECTS)]
    numbers = [item for item in rest if is_int(item)]
    extra, attachments = (*objects, {}, {})[:2]
    return make(
        code,
        update,
        identity,
        flags,
        _int(update, text_at - 2),
        _int(update, text_at - 1),
        decode_text(str(update[text_at])),
        extra,
        attachments,
        *(*numbers, 0, 0, 0)[:3],
        complete=True,
    )


def _find_text(update: Update) -> int:
    """Return where the text stands, 0 where it was left out with all that follows it."""
    places = [index for index in _TEXT_PLACES if index < len(update) and isinstance(update[index], str)]
    if not places and len(update) > _TEXT_PLACES[0]:
        raise ProtocolError("there is no text")
    return places[0] if places else 0


def _to_dict(value: object) -> Json:
    """Take an empty list for an empty object: the page calls the attachments an array."""
    return value if isinstance(value, dict) else {}


def _flags(change: Change, code: int, update: Update) -> FlagsChanged:
    return _message(partial(FlagsChanged, change=change), code, update)


def _dialog_flags(change: Change, code: int, update: Update) -> DialogFlagsChanged:
    return DialogFlagsChanged(code, update, _int(update, 1), _int(update, 2), change)


def _read(code: int, update: Update) -> MessagesRead:
    count = _int(update, 3) if len(update) > 3 else None  # noqa: PLR2004 - where it stands
    return MessagesRead(code, update, _int(update, 1), _int(update, 2), code == _READ_BY_OTHERS, count)


def _online(code: int, update: Update) -> Presence:
    platform = _int(update, 2) & 255  # the page: $extra & 0xFF
    return Presence(code, update, abs(_int(update, 1)), True, platform, False, _optional(update, 3))


def _offline(code: int, update: Update) -> Presence:
    timed_out = _int(update, 2) == 1
    return Presence(code, update, abs(_int(update, 1)), False, 0, timed_out, _optional(update, 3))


def _deleted(code: int, update: Update) -> MessagesDeleted:
    return MessagesDeleted(code, update, _int(update, 1), _int(update, 2))


def _restored(code: int, update: Update) -> MessagesRestored:
    return MessagesRestored(code, update, _int(update, 1), _int(update, 2))


def _moved(number: Literal["major_id", "minor_id"], code: int, update: Update) -> DialogMoved:
    return DialogMoved(code, update, _int(update, 1), number, _int(update, 2))


def _chat_changed(code: int, update: Update) -> ChatChanged:
    return ChatChanged(code, update, _int(update, 1), _optional(update, 2) == 1)


def _chat_info_changed(code: int, update: Update) -> ChatInfoChanged:
    return ChatInfoChanged(code, update, _int(update, 1), _int(update, 2), _optional(update, 3))


def _typing(code: int, update: Update) -> Typing:
    user_id = _int(update, 1)
    return Typing(code, update, user_id, [user_id], "typing", 1)


def _typing_in_chat(code: int, update: Update) -> Typing:
    return Typing(code, update, CHAT_BASE + _int(update, 2), [_int(update, 1)], "typing", 1)


def _several(activity: Activity, code: int, update: Update) -> Typing:
    lists = [item for item in update[1:3] if isinstance(item, list)]
    peers = [item for item in update[1:3] if is_int(item)]
    if not lists or not peers or not all(map(is_int, lists[0])):
        raise ProtocolError("who does it, or where, is missing")
    user_ids = lists[0]
    return Typing(code, update, peers[0], user_ids, activity, _optional(update, 3) or len(user_ids))


def _call(code: int, update: Update) -> Call:
    return Call(code, update, _int(update, 1), _int(update, 2))


def _counter(code: int, update: Update) -> Counter:
    return Counter(code, update, _int(update, 1))


def _notification_settings(code: int, update: Update) -> NotificationSettings:
    """Take both forms: an object, which mode 8 gives, and three numbers."""
    fields = update[1] if len(update) > 1 else None
    if not isinstance(fields, dict):
        return NotificationSettings(code, update, _int(update, 1), _int(update, 2) == 1, _int(update, 3))
    sound, until = read_int(fields, "sound") == 1, read_int(fields, "disabled_until")
    return NotificationSettings(code, update, read_int(fields, "peer_id"), sound, until)


_OBJECTS = (dict, list)
_TEXT_PLACES = (5, 6)
"""Where the text of a message is, the second with `minor_id` before its peer."""
_READ_BY_OTHERS = 7

_DECODERS: dict[int, Callable[[int, Update], UserEvent]] = {
    1: partial(_flags, "replace"),
    2: partial(_flags, "set"),
    3: partial(_flags, "clear"),
    4: partial(_message, NewMessage),
    5: partial(_message, EditedMessage),
    6: _read,
    _READ_BY_OTHERS: _read,
    8: _online,
    9: _offline,
    10: partial(_dialog_flags, "clear"),
    11: partial(_dialog_flags, "replace"),
    12: partial(_dialog_flags, "set"),
    13: _deleted,
    14: _restored,
    18: partial(_message, EditedMessage),
    20: partial(_moved, "major_id"),
    21: partial(_moved, "minor_id"),
    51: _chat_changed,
    52: _chat_info_changed,
    61: _typing,
    62: _typing_in_chat,
    63: partial(_several, "typing"),
    64: partial(_several, "recording"),
    65: partial(_several, "photo"),
    66: partial(_several, "video"),
    67: partial(_several, "file"),
    68: partial(_several, "video_message"),
    70: _call,
    80: _counter,
    114: _notification_settings,
}
