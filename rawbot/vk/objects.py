"""What an event is about, typed: messages, pressed buttons, comments, likes, memberships.

Layer 3, pure. Source: VK, community events (dev.vk.com/ru/api/community-events/json-schema) and the object of a message
(dev.vk.com/ru/reference/objects/message). Field names are the vendor's, but `from_id` is `sender`. The vendor's object
stays in `raw`, for what is not typed here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import orjson

from rawbot.errors import ProtocolError
from rawbot.vk.event_types import CHANGES, COMMENTS, MESSAGES
from rawbot.vk.fields import Json, Private, need_id, read_dict, read_dicts, read_flag, read_int, read_str
from rawbot.vk.peers import CHAT_BASE


@dataclass(slots=True, repr=False)
class VKMessage(Private):
    """A message: one that came, was edited, was sent, or is quoted by another.

    A quoted one may lack `id`, `peer_id` and `conversation_message_id`, which are 0 then; `sender` and `date` too.
    """

    id: int
    """0 in chats: `conversation_message_id` is what names a message there."""
    conversation_message_id: int
    """Counts up within the conversation."""
    peer_id: int
    sender: int
    """`from_id`: negative for communities."""
    date: int
    """Unix seconds."""
    text: str
    payload: object
    """What the pressed button carries, decoded; a text that is no JSON as it is; None for none. Users can forge it."""
    payload_text: str
    """The same as it came; as compact JSON where it came as a value."""
    attachments: list[Json]
    action: Json | None
    """What happened to the chat, in a service message."""
    random_id: int
    """What messages.send was given; in outgoing messages only."""
    out: bool
    """Whether the community has said it."""
    admin_author_id: int
    """The human who said it in the community's name; 0 where none did."""
    update_time: int
    """When it was last edited, Unix seconds; 0 for never."""
    version: int
    """A number that 5.199 adds; 0 before."""
    client_info: Json
    """What the user's client can do, in message_new from 5.103 on."""
    raw: Json

    def __repr__(self) -> str:
        return f"<VKMessage {self.conversation_message_id} in {self.peer_id}>"

    @property
    def chat_id(self) -> int:
        """The number of the chat, 0 outside of chats."""
        return self.peer_id - CHAT_BASE if self.peer_id > CHAT_BASE else 0

    @property
    def reply_message(self) -> "VKMessage | None":
        """The message that this one answers. Decoded when asked for; raises `ProtocolError` as `decode_object` does."""
        quoted = read_dict(self.raw, "reply_message")
        return decode_message(quoted) if quoted else None

    @property
    def fwd_messages(self) -> "list[VKMessage]":
        """The messages that were forwarded with it, likewise; they may have such of their own, without a known end."""
        return [decode_message(message) for message in read_dicts(self.raw, "fwd_messages")]


@dataclass(slots=True, repr=False)
class MessageEvent(Private):
    """`message_event`: a callback button was pressed. To be answered within a minute."""

    user_id: int
    peer_id: int
    event_id: str
    """What messages.sendMessageEventAnswer wants; not the id of the envelope."""
    payload: object
    payload_text: str
    """As in a message. The page says that it is any JSON, the schema that it is a string: both come."""
    conversation_message_id: int
    """The message with the button; 0 where the button is not in one."""
    raw: Json


@dataclass(slots=True, repr=False)
class Comment(Private):
    """A comment was made, changed, brought back or taken away."""

    place: str
    """One of `COMMENTS`: the first part of the event's name."""
    change: str
    """One of `CHANGES`: the rest of it."""
    id: int
    owner_id: int
    """Whose post, photo, video, topic or item it stands under; negative for communities."""
    object_id: int
    """And which one: `post_id`, `photo_id`, `video_id`, `topic_id` or `item_id`."""
    sender: int
    """Who wrote it; of a deleted one only some events tell it."""
    deleter_id: int
    """Who took it away."""
    date: int
    text: str
    reply_to_user: int
    reply_to_comment: int
    attachments: list[Json]
    raw: Json


@dataclass(slots=True, repr=False)
class Like(Private):
    """`like_add` and `like_remove`."""

    added: bool
    liker_id: int
    object_type: str
    object_owner_id: int
    object_id: int
    thread_reply_id: int
    post_id: int
    """For comments: the post that they stand under."""
    raw: Json


@dataclass(slots=True, repr=False)
class Membership(Private):
    """`group_join` and `group_leave`."""

    joined: bool
    user_id: int
    join_type: str
    """`join`, `unsure`, `accepted`, `approved` or `request`; empty for who left."""
    by_self: bool
    """Whether a user left; False too for one who was removed."""
    raw: Json


@dataclass(slots=True)
class Raw:
    """Any other event."""

    type: str
    object: Json

    def __repr__(self) -> str:
        return f"<Raw {self.type!r}>"


VKObject = VKMessage | MessageEvent | Comment | Like | Membership | Raw


def decode_typed(event_type: str, value: Json) -> VKObject:
    """Return the object of an event of this type. Raises `ProtocolError` when a field has not the vendor's type."""
    decode = _DECODERS.get(event_type)
    return Raw(event_type, value) if decode is None else decode(value)


def decode_message(value: Json, client_info: Json | None = None) -> VKMessage:
    """Return the message in a bare object, which may be a quoted one. Raises `ProtocolError`."""
    payload, payload_text = _read_payload(value)
    return VKMessage(
        id=read_int(value, "id"),
        conversation_message_id=read_int(value, "conversation_message_id"),
        peer_id=read_int(value, "peer_id"),
        sender=read_int(value, "from_id"),
        date=read_int(value, "date"),
        text=read_str(value, "text"),
        payload=payload,
        payload_text=payload_text,
        attachments=read_dicts(value, "attachments"),
        action=read_dict(value, "action") or None,
        random_id=read_int(value, "random_id"),
        out=read_flag(value, "out"),
        admin_author_id=read_int(value, "admin_author_id"),
        update_time=read_int(value, "update_time"),
        version=read_int(value, "version"),
        client_info={} if client_info is None else client_info,
        raw=value,
    )


def _decode_message_event(value: Json) -> MessageEvent:
    payload, payload_text = _read_payload(value)
    event_id = read_str(value, "event_id")
    if not event_id:
        raise ProtocolError("there is no event_id")
    return MessageEvent(
        need_id(value, "user_id"),
        need_id(value, "peer_id"),
        event_id,
        payload,
        payload_text,
        read_int(value, "conversation_message_id"),
        value,
    )


def _decode_any_message(value: Json) -> VKMessage:
    """Take both shapes: the object is the message, or holds it beside client_info, as message_new does from 5.103 on.

    What is there tells them apart, not `v`: old bodies have none.
    """
    message = decode_message(*_unwrap(value))
    need_id(message.raw, "peer_id")
    return message


def _unwrap(value: Json) -> tuple[Json, Json | None]:
    if "message" not in value:
        return value, None
    return read_dict(value, "message"), read_dict(value, "client_info")


def _read_payload(holder: Json) -> tuple[object, str]:
    """Return the payload decoded and as text."""
    value = holder.get("payload")
    if value is None or value == "":
        return None, ""
    if not isinstance(value, str):
        try:
            return value, orjson.dumps(value).decode()
        except orjson.JSONEncodeError:  # over 254 levels; a button has room for 255 characters
            raise ProtocolError("payload nests too deeply") from None
    try:
        return orjson.loads(value), value
    except orjson.JSONDecodeError:
        return value, value


def _decode_comment(place: str, change: str, value: Json) -> Comment:
    owner_key, object_key = _PARENTS[place]
    return Comment(
        place,
        change,
        id=need_id(value, "id"),
        owner_id=read_int(value, owner_key) or read_int(value, "owner_id"),
        object_id=read_int(value, object_key),
        sender=read_int(value, "from_id") or read_int(value, "user_id"),
        deleter_id=read_int(value, "deleter_id"),
        date=read_int(value, "date"),
        text=read_str(value, "text"),
        reply_to_user=read_int(value, "reply_to_user"),
        reply_to_comment=read_int(value, "reply_to_comment"),
        attachments=read_dicts(value, "attachments"),
        raw=value,
    )


def _decode_like(value: Json, *, added: bool) -> Like:
    return Like(
        added,
        liker_id=need_id(value, "liker_id"),
        object_type=read_str(value, "object_type"),
        object_owner_id=read_int(value, "object_owner_id"),
        object_id=read_int(value, "object_id"),
        thread_reply_id=read_int(value, "thread_reply_id"),
        post_id=read_int(value, "post_id"),
        raw=value,
    )


def _decode_membership(value: Json, *, joined: bool) -> Membership:
    user_id, join_type = need_id(value, "user_id"), read_str(value, "join_type")
    return Membership(joined, user_id, join_type, read_flag(value, "self"), value)


_PARENTS = {
    # place: the fields that name what the comment stands under; in most deletions the first is `owner_id`
    "wall_reply": ("post_owner_id", "post_id"),
    "photo_comment": ("photo_owner_id", "photo_id"),
    "video_comment": ("video_owner_id", "video_id"),
    "board_post": ("topic_owner_id", "topic_id"),
    "market_comment": ("market_owner_id", "item_id"),
}

_DECODERS: dict[str, Callable[[Json], VKObject]] = {
    **dict.fromkeys(MESSAGES, _decode_any_message),
    "message_event": _decode_message_event,
    "like_add": partial(_decode_like, added=True),
    "like_remove": partial(_decode_like, added=False),
    "group_join": partial(_decode_membership, joined=True),
    "group_leave": partial(_decode_membership, joined=False),
    **{f"{place}_{change}": partial(_decode_comment, place, change) for place in COMMENTS for change in CHANGES},
}
