"""What a WeCom user does, as the plaintext of callbacks.

Layer 3 (simulate), pure: objects go in and out, nothing is encrypted or sent. Source of every shape:
developer.work.weixin.qq.com/document/path/100719 (messages) and 101027 (events). A body is what a message consists of,
and the same again as an item of a mixed message or as a quote: `{"msgtype": "text", "text": {…}}`.
"""

from collections.abc import Mapping, Sequence
from typing import TypeGuard

from rawbot.errors import StateError

JsonObject = dict[str, object]

MESSAGE = "message"
"""The kind of what a user wrote. The kind of an event is its `eventtype`."""


def text_body(content: str) -> JsonObject:
    """Return typed text. In a group the platform leaves the literal "@RobotName " in front of it."""
    return {"msgtype": "text", "text": {"content": content}}


def image_body(url: str) -> JsonObject:
    """Return an image; in groups only inside a mixed message or as a quote."""
    return {"msgtype": "image", "image": {"url": url}}


def mixed_body(items: Sequence[JsonObject]) -> JsonObject:
    """Return texts and images in the user's order; `items` are their bodies."""
    return {"msgtype": "mixed", "mixed": {"msg_item": list(items)}}


def voice_body(content: str) -> JsonObject:
    """Return speech as the text into which the platform turned it; single chats only."""
    return {"msgtype": "voice", "voice": {"content": content}}


def file_body(url: str) -> JsonObject:
    """Return a file, whose name comes with the download; in groups only as a quote."""
    return {"msgtype": "file", "file": {"url": url}}


def video_body(url: str) -> JsonObject:
    """Return a video; in groups only as a quote."""
    return {"msgtype": "video", "video": {"url": url}}


def user_message(
    body: JsonObject, *, user: str, chat: str | None = None, quote: JsonObject | None = None
) -> JsonObject:
    """Return a message by `user`, in the group `chat` or, without one, in the single chat with the bot.

    What the platform itself adds (msgid, aibotid, response_url) is missing still.
    """
    message = _place(chat) | {"from": {"userid": user}} | body
    return message if quote is None else message | {"quote": quote}


def refresh(message: Mapping[str, object], stream_id: str) -> JsonObject:
    """Return the callback that asks how the stream opened by the answer to `message` looks by now."""
    kept = {key: message[key] for key in ("aibotid", "chatid", "chattype", "from") if key in message}
    return kept | {"msgtype": "stream", "stream": {"id": stream_id}}


def event(
    name: str,
    payload: JsonObject | None = None,
    *,
    user: str,
    chat: str | None = None,
    create_time: int = 0,
) -> JsonObject:
    """Return the event `name`; its payload stands in the field that is named after it.

    enter_chat comes without chattype, as in the vendor's sample.
    """
    place = {} if name == "enter_chat" else _place(chat)
    about: JsonObject = {"eventtype": name}
    if payload is not None:
        about[name] = payload
    return {"create_time": create_time} | place | {"from": {"userid": user}, "msgtype": "event", "event": about}


def feedback(feedback_id: str, *, verdict: int, content: str = "", reasons: Sequence[int] = ()) -> JsonObject:
    """Return the payload of a feedback_event. `verdict`: 1 good, 2 bad, 3 withdrawn; `reasons`: numbers 1 to 4."""
    payload: JsonObject = {"id": feedback_id, "type": verdict}
    if content:
        payload["content"] = content
    if reasons:
        payload["inaccurate_reason_list"] = list(reasons)
    return payload


def press(card: Mapping[str, object], key: str, selected: Mapping[str, Sequence[str]] | None = None) -> JsonObject:
    """Return the payload of the template_card_event that pressing `key` on this card makes.

    `selected` are the chosen option ids by question_key. Raises `StateError` when the card has no such button, submit
    button or menu entry: a user could not press it either.
    """
    if key not in card_keys(card):
        raise StateError("the card has nothing to press with this key")
    payload: JsonObject = {"card_type": card.get("card_type"), "event_key": key, "task_id": card.get("task_id")}
    if selected:
        items = [{"question_key": q, "option_ids": {"option_id": list(ids)}} for q, ids in selected.items()]
        payload["selected_items"] = {"selected_item": items}
    return payload


def card_keys(card: Mapping[str, object]) -> list[str]:
    """List the keys that can be pressed on a card: buttons, the submit button, the menu in the corner."""
    menu = card.get("action_menu")
    places = [
        card.get("button_list"),
        [card.get("submit_button")],
        menu.get("action_list") if is_object(menu) else None,
    ]
    entries = [entry for place in places if isinstance(place, list) for entry in place if is_object(entry)]
    return [key for entry in entries if isinstance(key := entry.get("key"), str)]


def kind_of(message: Mapping[str, object]) -> str:
    """Return `MESSAGE` for what a user wrote, or the name of the event."""
    if message.get("msgtype") != "event":
        return MESSAGE
    about = message.get("event")
    return str(about.get("eventtype", "event")) if is_object(about) else "event"


def is_object(value: object) -> TypeGuard[JsonObject]:
    """Tell whether a decoded JSON value is an object."""
    return isinstance(value, dict)


def _place(chat: str | None) -> JsonObject:
    return {"chattype": "single"} if chat is None else {"chatid": chat, "chattype": "group"}
