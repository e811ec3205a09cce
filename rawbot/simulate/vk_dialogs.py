"""The dialogs of a community, or of a user who has a bot, as the others see them: messages, their edits, their buttons.

Layer 3 (simulate), pure: time comes in as `now`. Source: dev.vk.com/ru/reference/objects/message,
dev.vk.com/ru/method/messages.send (`random_id`).
"""

from dataclasses import dataclass, field

import orjson

from rawbot.errors import StateError
from rawbot.simulate.vk_rules import JsonObject, is_object
from rawbot.vk.peers import CHAT_BASE

RANDOM_ID_KEPT = 3600.0
"""Seconds for which a random_id that was used sends nothing again."""
RANDOM_IDS_KEPT = 100
"""Messages of the dialog that are looked at for it."""


@dataclass(slots=True, eq=False)
class ChatMessage:
    """One message of a dialog."""

    id: int
    """Of all dialogs together; 0 in a chat."""
    conversation_message_id: int
    peer_id: int
    from_id: int
    """Negative for a community."""
    date: float
    text: str = field(default="", repr=False)
    random_id: int = 0
    attachments: list[JsonObject] = field(default_factory=list, repr=False)
    files: list[bytes] = field(default_factory=list, repr=False)
    """What is in those of the attachments that were uploaded here."""
    keyboard: JsonObject | None = field(default=None, repr=False)
    payload: str = field(default="", repr=False)
    reply_to: "ChatMessage | None" = field(default=None, repr=False)
    edits: list[str] = field(default_factory=list, repr=False)
    """The texts that it had before."""
    updated_at: float = 0.0
    outgoing: bool = False
    """Whether the bot wrote it."""

    def buttons(self) -> list[JsonObject]:
        """Return the buttons beneath it, row by row."""
        rows = (self.keyboard or {}).get("buttons")
        return [button for row in rows for button in row if is_object(button)] if isinstance(rows, list) else []

    def object(self) -> JsonObject:
        """Return it as events have it."""
        message: JsonObject = {
            "date": int(self.date),
            "from_id": self.from_id,
            "id": self.id,
            "version": 10_000_000 + self.conversation_message_id + len(self.edits),
            "out": int(self.outgoing),
            "fwd_messages": [],
            "important": False,
            "is_hidden": False,
            "attachments": self.attachments,
            "conversation_message_id": self.conversation_message_id,
            "text": self.text,
            "peer_id": self.peer_id,
            "random_id": self.random_id,
        }
        if self.payload:
            message["payload"] = self.payload
        if self.updated_at:
            message["update_time"] = int(self.updated_at)
        if self.reply_to is not None:
            message["reply_message"] = self.reply_to.object()
        return message


class Dialog:
    """The messages that are exchanged with one user, or in one chat."""

    __slots__ = ("messages", "open", "peer_id")

    def __init__(self, peer_id: int) -> None:
        self.peer_id = peer_id
        self.messages: list[ChatMessage] = []
        self.open = False
        """Whether a community may write: a user's first message, or `message_allow`, lets it."""

    def __repr__(self) -> str:
        return f"<Dialog {self.peer_id}, {len(self.messages)} messages>"

    @property
    def is_chat(self) -> bool:
        """Whether several users are in it."""
        return self.peer_id > CHAT_BASE

    @property
    def sent(self) -> list[ChatMessage]:
        """What the bot has said."""
        return [message for message in self.messages if message.outgoing]

    @property
    def shown(self) -> list[str]:
        """The texts of these messages, as they are now."""
        return [message.text for message in self.sent]

    def add(self, from_id: int, message_id: int, now: float, text: str = "") -> ChatMessage:
        """Add a message; `message_id` counts over all dialogs, and is not kept in chats."""
        number = len(self.messages) + 1
        message = ChatMessage(0 if self.is_chat else message_id, number, self.peer_id, from_id, now, text)
        self.messages.append(message)
        return message

    def find(self, *, message_id: int = 0, conversation_message_id: int = 0) -> ChatMessage | None:
        """Return the message with one of these ids."""
        for message in self.messages:
            if message_id and message.id == message_id:
                return message
            if conversation_message_id and message.conversation_message_id == conversation_message_id:
                return message
        return None

    def find_repeated(self, random_id: int, now: float) -> ChatMessage | None:
        """Return the bot's message that has this random_id already, as long as VK remembers."""
        for message in self.messages[-RANDOM_IDS_KEPT:]:
            if message.outgoing and random_id and message.random_id == random_id:
                return message if now - message.date < RANDOM_ID_KEPT else None
        return None


def find_button(message: ChatMessage, which: str | JsonObject) -> JsonObject:
    """Return the action of a button, by its label or as it stands in the keyboard. Raises `StateError` without it."""
    for button in message.buttons():
        action = button.get("action")
        if is_object(action) and (button == which or action.get("label") == which):
            return action
    raise StateError("the message has no such button")


def payload_text(action: JsonObject) -> str:
    """Return the payload of a button as a message has it: JSON in a string."""
    payload = action.get("payload", "")
    return payload if isinstance(payload, str) else orjson.dumps(payload).decode()


def payload_value(action: JsonObject) -> object:
    """Return the payload of a button as a message_event has it: any JSON."""
    payload = action.get("payload", "")
    if not isinstance(payload, str):
        return payload
    try:
        value: object = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return payload
    return value
