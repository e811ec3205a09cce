"""The methods of messages: send, edit, answer a button.

Layer 3 (simulate), pure. Sources: dev.vk.com/ru/method/messages.send, messages.edit,
messages.sendMessageEventAnswer.
"""

import re
from secrets import token_hex

import orjson

from rawbot.simulate.vk_call import Call
from rawbot.simulate.vk_dialogs import ChatMessage, Dialog
from rawbot.simulate.vk_events import VKEvent
from rawbot.simulate.vk_rules import (
    MAX_EVENT_DATA,
    MAX_PEERS,
    MAX_TEXT,
    ApiError,
    JsonObject,
    check_keyboard,
    is_object,
)
from rawbot.simulate.vk_user_updates import update_of
from rawbot.simulate.vk_world import ANSWER_WITHIN, Community, HostedFile
from rawbot.vk.peers import CHAT_BASE

EDITABLE_FOR = 24 * 3600.0
"""Seconds for which a message can be changed."""

_NEEDS_RANDOM_ID = (5, 90)
_MAX_RANDOM_ID = 2**31
_ATTACHMENT = re.compile(r"(photo|video|audio|doc|wall|market|poll|question)(-?\d+_\d+)(_\w+)?", re.ASCII)
_ANSWERS = {"show_snackbar": "text", "open_link": "link", "open_app": "app_id"}
"""What a client can be told when a button was pressed, and the field that it needs for that."""
_MAX_SNACKBAR = 90


def send(call: Call) -> object:
    """Carry out messages.send: one peer gives an id, `peer_ids` a list with an error for each that failed."""
    random_id = _random_id(call)
    content = _content(call)
    if "peer_ids" not in call.params and "user_ids" not in call.params:
        message = _send_to(call, _peer(call), random_id, content)
        return message.id
    peers = call.integers("peer_ids") or call.integers("user_ids")
    if not 1 <= len(peers) <= MAX_PEERS:
        raise ApiError(100, f"peer_ids should have 1 to {MAX_PEERS} elements")
    return [_send_to_one_of(call, peer_id, random_id, content) for peer_id in peers]


def edit(call: Call) -> object:
    """Carry out messages.edit: the text and the attachments are replaced."""
    dialog = call.caller.dialogs.get(call.integer("peer_id"))
    number = call.integer("conversation_message_id", 0) or call.integer("cmid", 0)
    message_id = call.integer("message_id", 0)
    message = None if dialog is None else dialog.find(message_id=message_id, conversation_message_id=number)
    if message is None or not message.outgoing:
        raise ApiError(100, "there is no such message of the bot's")
    if call.now - message.date >= EDITABLE_FOR:
        raise ApiError(909)
    content = _content(call)
    message.edits.append(message.text)
    message.updated_at = call.now
    content.fill(message)
    _tell(call, "message_edit", message)
    return 1


def send_event_answer(call: Call) -> object:
    """Carry out messages.sendMessageEventAnswer: once, and within a minute."""
    caller = call.own_community()
    press = caller.presses.get(call.text("event_id"))
    if press is None or (press.user_id, press.peer_id) != (call.integer("user_id"), call.integer("peer_id")):
        raise ApiError(100, "event_id is none of this user's in this dialog")
    data = _event_data(call)
    if press.answered:
        raise ApiError(100, "event_id was answered already")
    if call.now - press.at > ANSWER_WITHIN:
        raise ApiError(100, "event_id is older than a minute: nobody waits any more")
    press.answered, press.answer = True, data
    call.world.tell(caller, press)
    return 1


class _Content:
    """What a message is to hold."""

    def __init__(
        self, text: str, attachments: list[JsonObject], files: list[bytes], keyboard: JsonObject | None, payload: str
    ) -> None:
        self._text, self._attachments, self._files = text, attachments, files
        self._keyboard, self._payload = keyboard, payload

    def fill(self, message: ChatMessage) -> None:
        """Let the message hold it."""
        message.text, message.keyboard = self._text, self._keyboard
        message.attachments, message.files = list(self._attachments), list(self._files)
        message.payload = self._payload


def _content(call: Call) -> _Content:
    text = call.text("message", "")
    if len(text) > MAX_TEXT:
        raise ApiError(914)
    attachments, files = [], []
    for name in filter(None, call.text("attachment", "").split(",")):
        attachment, hosted = _attachment(call, name)
        attachments.append(attachment)
        if hosted is not None:
            files.append(hosted.data)
    if not text.strip() and not attachments and not call.text("sticker_id", "") and not call.text("forward", ""):
        raise ApiError(100, "message is empty or invalid")
    return _Content(text, attachments, files, check_keyboard(call.text("keyboard", "")), call.text("payload", ""))


def _attachment(call: Call, name: str) -> tuple[JsonObject, HostedFile | None]:
    """Return what an attachment's name stands for: what was uploaded here, or something that VK may have."""
    found = _ATTACHMENT.fullmatch(name)
    if found is None:
        raise ApiError(100, "attachment holds what is no attachment")
    hosted = call.world.attachments.get(found[1] + found[2])
    if hosted is not None and hosted.saved is not None:
        return hosted.saved, hosted
    owner_id, _, own_id = found[2].partition("_")
    return {"type": found[1], found[1]: {"owner_id": int(owner_id), "id": int(own_id)}}, None


def _peer(call: Call) -> int:
    chat_id = call.integer("chat_id", 0)
    peer_id = call.integer("peer_id", 0) or call.integer("user_id", 0) or (CHAT_BASE + chat_id if chat_id else 0)
    if not peer_id:
        raise ApiError(100, "peer_id or one of its kind is undefined")
    return peer_id


def _random_id(call: Call) -> int:
    needed = None if call.version >= _NEEDS_RANDOM_ID else 0
    random_id = call.integer("random_id", needed)
    if not -_MAX_RANDOM_ID <= random_id < _MAX_RANDOM_ID:
        raise ApiError(100, "random_id should be an integer of 32 bits")
    return random_id


def _send_to_one_of(call: Call, peer_id: int, random_id: int, content: _Content) -> JsonObject:
    try:
        message = _send_to(call, peer_id, random_id, content)
    except ApiError as error:
        return {"peer_id": peer_id, "message_id": 0, "error": {"code": error.code, "description": str(error)}}
    number = message.conversation_message_id
    return {"peer_id": peer_id, "message_id": message.id, "conversation_message_id": number}


def _send_to(call: Call, peer_id: int, random_id: int, content: _Content) -> ChatMessage:
    caller = call.caller
    if peer_id in caller.blocked:
        raise ApiError(900)
    dialog = caller.dialog(peer_id)
    if not dialog.open and (dialog.is_chat or isinstance(caller, Community)):
        raise ApiError(917 if dialog.is_chat else 901)
    if (repeated := dialog.find_repeated(random_id, call.now)) is not None:
        return repeated
    message = call.world.say(caller, peer_id, caller.peer_id, "")
    content.fill(message)
    message.random_id, message.reply_to = random_id, _replied_to(call, dialog)
    _tell(call, "message_reply", message)
    return message


def _replied_to(call: Call, dialog: Dialog) -> ChatMessage | None:
    reply_to = call.integer("reply_to", 0)
    return dialog.find(message_id=reply_to) if reply_to else None


def _tell(call: Call, event_type: str, message: ChatMessage) -> None:
    """Let the bot hear of what it has done itself, and everybody else."""
    caller = call.caller
    if isinstance(caller, Community):
        call.world.emit(VKEvent(event_type, caller.id, message.object(), token_hex(20), call.now))
    else:
        caller.stream.push(update_of(message, sender_id=caller.id, edited=event_type == "message_edit"))
    call.world.tell(caller, message)


def _event_data(call: Call) -> JsonObject | None:
    text = call.text("event_data", "")
    if not text:
        return None
    try:
        data: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        data = None
    kind = data.get("type") if is_object(data) else None
    if not is_object(data) or not isinstance(kind, str) or kind not in _ANSWERS or len(text) > MAX_EVENT_DATA:
        raise ApiError(100, f"event_data is no JSON of a known type in {MAX_EVENT_DATA} characters")
    needed = data.get(_ANSWERS[kind])
    if not needed or (kind == "show_snackbar" and not (isinstance(needed, str) and len(needed) <= _MAX_SNACKBAR)):
        raise ApiError(100, f"event_data.{_ANSWERS[kind]} is missing or too long")
    return data
