"""What the bot is told of an event: whose it is, what was said, in which conversation.

Layer 3, pure. Source: VK, community events (dev.vk.com/ru/api/community-events/json-schema).
"""

from collections.abc import Sequence

from rawbot.event import MESSAGE, Event, Reply
from rawbot.vk.attachments import VKAttachment, attachments_of
from rawbot.vk.fields import is_int
from rawbot.vk.messages import Envelope
from rawbot.vk.objects import Comment, Like, Membership, MessageEvent, Raw, VKMessage, VKObject
from rawbot.vk.peers import CHAT_BASE

PLATFORM = "vk"

_ACTORS = {
    # of what is not typed: who has done it
    **dict.fromkeys(("message_allow", "message_deny", "poll_vote_new", "market_order_new"), "user_id"),
    **dict.fromkeys(("lead_forms_new", "app_payload", "group_change_settings", "group_change_photo"), "user_id"),
    **dict.fromkeys(("message_typing_state", "message_read", "wall_post_new", "wall_repost"), "from_id"),
    **dict.fromkeys(("user_block", "user_unblock", "group_officers_edit"), "admin_id"),
    "vkpay_transaction": "from_id",
    "message_reaction_event": "reacted_id",
    "donut_subscription_create": "user_id",
    "donut_subscription_prolonged": "user_id",
    "donut_subscription_cancelled": "user_id",
    "donut_subscription_price_changed": "user_id",
    "donut_subscription_expired": "user_id",
}


def sender_of(about: VKObject) -> int:
    """Return who has done it, negative for communities, 0 where the event does not tell."""
    if isinstance(about, VKMessage | Comment):
        return about.sender
    if isinstance(about, MessageEvent | Membership):
        return about.user_id
    if isinstance(about, Like):
        return about.liker_id
    return _number(about, _ACTORS.get(about.type, ""))


def peer_of(about: VKObject) -> int:
    """Return the dialog that an answer goes to: the event's, else that with the user who has done it; 0 for none."""
    if isinstance(about, VKMessage):  # by itself, as most events are messages: a union of types is made anew each time
        return about.peer_id
    if isinstance(about, MessageEvent):
        return about.peer_id
    peer_id = _number(about, "peer_id") if isinstance(about, Raw) else 0
    return peer_id or max(0, sender_of(about))


def kind_of(envelope: Envelope) -> str:
    """Name the event for the bot. One that calls itself `message` must not be taken for what a user wrote."""
    kind = envelope.type
    if kind == "message_new":
        return MESSAGE
    return "event" if kind == MESSAGE else kind


def make_event(
    envelope: Envelope, about: VKObject, reply: Reply, now: float, *, peer_id: int, in_flight: int = 1
) -> Event:
    """Return what the bot is told. `peer_id` is the dialog that an answer goes to."""
    bot = str(envelope.group_id)
    chat = f"{bot}/{peer_id}" if peer_id else ""
    group = str(peer_id) if peer_id > CHAT_BASE else ""
    if isinstance(about, VKMessage):
        kind = kind_of(envelope)
        sender = about.sender
        attachments: Sequence[VKAttachment] = attachments_of(about, now)
        message_id = str(about.conversation_message_id or about.id)
        # by position, in the order of the fields, as most events are messages: 0.4 µs less than by name
        event = Event(
            kind, PLATFORM, chat, str(sender) if sender else "", about.text, reply, about, attachments, in_flight,
            message_id, bot, group,
        )  # fmt: skip
        if "reply_message" in about.raw:
            _note_quoted(event, about.raw["reply_message"])
        if kind is not MESSAGE:
            event.payload = envelope.object
        return event
    return Event(
        kind=kind_of(envelope),
        platform=PLATFORM,
        chat=chat,
        sender=str(sender_of(about) or ""),
        text=about.text if isinstance(about, Comment) else "",
        reply=reply,
        message=about,
        message_id=about.event_id if isinstance(about, MessageEvent) else envelope.event_id,
        bot=bot,
        group=group,
        payload=envelope.object,
    )


def _note_quoted(event: Event, quoted: object) -> None:
    """Note what this message answers, as far as that can be read."""
    if not isinstance(quoted, dict):
        return
    text, number = quoted.get("text"), quoted.get("conversation_message_id") or quoted.get("id")
    event.quoted = text if isinstance(text, str) else ""
    event.reply_to = str(number) if is_int(number) and number else ""


def _number(about: VKObject, key: str) -> int:
    number = about.object.get(key) if isinstance(about, Raw) else None
    return number if is_int(number) else 0
