"""WeCom's rules for what an answer may hold: text, images, cards. One function a rule, each returns sentences.

Layer 3 (simulate), pure. Written from the vendor's pages and not from our own wing, which it judges:
developer.work.weixin.qq.com/document/path/101031 (replies), 101032 (cards), 101027 (events).
"""

import base64
import binascii
import re
import unicodedata
from collections.abc import Mapping
from hashlib import md5

from rawbot.simulate.wecom_messages import MESSAGE, JsonObject, is_object

CONTENT_LIMIT = 20480
"""Bytes of UTF-8 in a stream's content, or a markdown's at a response_url (101031, 101138)."""
IMAGE_LIMIT = 10 * 1024 * 1024
IMAGES_LIMIT = 10
FEEDBACK_LIMIT = 256
TASK_ID_LIMIT = 128
ANSWER_WITHIN = 5.0
"""Seconds that the platform waits for an answer (101027 for card events; its family's rule for messages)."""

REFRESH = "refresh"
"""The row of the table below for the callback that asks how a stream looks."""

ALLOWED: Mapping[str, tuple[str, ...]] = {
    MESSAGE: ("stream", "template_card", "stream_with_template_card"),
    REFRESH: ("stream", "stream_with_template_card"),
    "enter_chat": ("text", "template_card"),
    "template_card_event": ("update_template_card",),
}
"""What each callback may be answered with; any other event with nothing."""

MUST_ANSWER = (MESSAGE, REFRESH)
"""The callbacks for which an empty answer is a mistake."""

_CARD_TYPES = ("text_notice", "news_notice", "button_interaction", "vote_interaction", "multiple_interaction")
_NEED_TASK_ID = ("button_interaction", "vote_interaction", "multiple_interaction")
_TASK_ID = re.compile(r"[0-9A-Za-z_@-]+")
_EMPTY_THINK = re.compile(r"<think>\s*</think>")
_BLANK_LETTERS = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters by category, blank on the screen: Hangul fillers and the empty Braille pattern."""
_BLANK_CATEGORIES = ("Cc", "Cf", "Zs", "Zl", "Zp", "Mn")
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


def reply_shape(reply: JsonObject) -> str:
    """Return the msgtype of a reply, `update_template_card` for one with this response_type, "" for an empty one."""
    shape = reply.get("msgtype", reply.get("response_type", ""))
    return shape if isinstance(shape, str) else "?"


def is_visible(text: str) -> bool:
    """Tell whether a user would see anything: not so for white space, zero-width characters, an empty think block."""
    rest = _EMPTY_THINK.sub("", text)
    return any(c not in _BLANK_LETTERS and unicodedata.category(c) not in _BLANK_CATEGORIES for c in rest)


def cut(text: str) -> str:
    """Return as much of the text as the platform shows."""
    return text.encode()[:CONTENT_LIMIT].decode("utf-8", "ignore")


def judge_shape(row: str, shape: str) -> list[str]:
    """Judge the kind of an answer to a callback of this row of `ALLOWED`."""
    allowed = ALLOWED.get(row, ())
    if shape in allowed:
        return []
    if shape:
        return [f"{row} was answered with {shape}; allowed: {', '.join(allowed) or 'nothing'}"]
    if row == MESSAGE:
        return ["the message got an empty answer: no stream is opened and the user sees nothing"]
    return ["a refresh got an empty answer"] if row == REFRESH else []


def judge_delay(seconds: float) -> list[str]:
    """Judge how long one answer took."""
    return [f"an answer took {seconds:.1f} s; the limit is {ANSWER_WITHIN:g} s"] if seconds > ANSWER_WITHIN else []


def judge_text(content: str, *, shown: str, final: bool) -> list[str]:
    """Judge the text of a frame that follows `shown` in the bubble."""
    problems = []
    size = len(content.encode())
    if size > CONTENT_LIMIT:
        problems.append(f"content has {size} bytes; what is beyond {CONTENT_LIMIT} is cut off")
    if final and not is_visible(content):
        problems.append("content shows nothing at the end: the bubble keeps waiting")
    if is_visible(shown) and not is_visible(content):
        problems.append("text that was shown became empty")
    return problems


def judge_feedback(feedback_id: object) -> list[str]:
    """Judge a feedback.id: a string of at most 256 bytes."""
    if isinstance(feedback_id, str) and 0 < len(feedback_id.encode()) <= FEEDBACK_LIMIT:
        return []
    return [f"feedback.id is not a string of 1 to {FEEDBACK_LIMIT} bytes"]


def open_images(items: object) -> tuple[list[bytes], list[str]]:
    """Return the images of a final frame's `msg_item` that the platform can show, and what is wrong with the others."""
    if not isinstance(items, list):
        return [], ["msg_item is not a list"]
    problems = [f"msg_item has {len(items)} images; the limit is {IMAGES_LIMIT}"] if len(items) > IMAGES_LIMIT else []
    images = []
    for number, item in enumerate(items[:IMAGES_LIMIT], 1):
        data, problem = _open_image(item)
        if problem:
            problems.append(f"image {number}: {problem}")
        else:
            images.append(data)
    return images, problems


def _open_image(item: object) -> tuple[bytes, str]:
    """Return the bytes of one item, and the first thing that is wrong with it."""
    image = item.get("image") if is_object(item) and item.get("msgtype") == "image" else None
    if not is_object(image):
        return b"", "not of the form {msgtype: image, image: {…}}"
    encoded, digest = image.get("base64"), image.get("md5")
    if not isinstance(encoded, str) or not isinstance(digest, str):
        return b"", "base64 or md5 is missing, or no string"
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return b"", "not base64"
    if len(data) > IMAGE_LIMIT:
        return data, f"{len(data)} bytes before base64; the limit is {IMAGE_LIMIT}"
    if not data.startswith(_MAGIC):
        return data, "neither JPG nor PNG"
    if md5(data, usedforsecurity=False).hexdigest() != digest:
        return data, "md5 is not that of the bytes before base64"
    return data, ""


def judge_card(card: JsonObject) -> list[str]:
    """Judge what the platform needs of a card to show it and to send its events: card_type and task_id."""
    problems = []
    card_type, task_id = card.get("card_type"), card.get("task_id")
    if card_type not in _CARD_TYPES:
        problems.append("card_type is none of the five")
    if task_id is None:
        if card_type in _NEED_TASK_ID or "action_menu" in card:
            problems.append("task_id is missing from a card that can be pressed")
    elif not isinstance(task_id, str) or not _TASK_ID.fullmatch(task_id) or len(task_id) > TASK_ID_LIMIT:
        problems.append(f"task_id is not 1 to {TASK_ID_LIMIT} characters out of 0-9 A-Z a-z _ - @")
    return problems


def judge_repeat(first: JsonObject, second: JsonObject, *, overlapping: bool = False) -> list[str]:
    """Judge two answers to one msgid: the second may be newer, but no other answer.

    Of `overlapping` deliveries nobody can say which was answered first.
    """
    if reply_shape(first) != reply_shape(second):
        return ["a repeated delivery got another kind of answer than the first"]
    one, two = first.get("stream"), second.get("stream")
    if not is_object(one) or not is_object(two):
        return []
    problems = []
    if one.get("id") != two.get("id"):
        problems.append("a repeated delivery got another stream id than the first")
    if one.get("feedback") != two.get("feedback"):
        problems.append("a repeated delivery got another feedback.id than the first")
    if not overlapping and one.get("finish") is True and two.get("finish") is not True:
        problems.append("a repeated delivery got an unfinished stream after a finished one")
    return problems
