"""What a reply carries besides words: pictures in its last frame, and a card.

Layer 3, pure. Source: developer.work.weixin.qq.com/document/path/101031. Most replies have neither and hold None in
place of these six fields.
"""

import base64
import hashlib
from collections.abc import Sequence
from copy import deepcopy

from rawbot.errors import StateError
from rawbot.media import MAGIC_BYTES, sniff_type
from rawbot.wecom.cards import Card, check_card
from rawbot.wecom.markdown import is_visible, with_notice
from rawbot.wecom.messages import Json, encode_image_item
from rawbot.wecom.texts import WeComTexts

MAX_IMAGES = 10
MAX_IMAGE_BYTES = 10 * 1024 * 1024
"""Limits of `msg_item` (doc 101031), the size counted before base64."""


class Enclosures:
    """The pictures and the card of one reply."""

    __slots__ = ("_card_msgid", "card", "card_late", "images", "pictures_lost", "wordless")

    def __init__(self) -> None:
        self.images: tuple[Json, ...] = ()
        self.pictures_lost = False
        """Whether a picture found no room, or came after the bubble's end."""
        self.card: Card | None = None
        self.card_late = False
        """Whether the card came after the bubble's end, so that no frame may carry it."""
        self.wordless = False
        """Whether the reply has ended without a word, so that its card may go alone."""
        self._card_msgid: str | None = None

    @property
    def shown(self) -> bool:
        """Whether there is a card or a picture."""
        return self.card is not None or bool(self.images)

    def add_image(self, data: bytes) -> None:
        """Take in a picture that was checked."""
        encoded = base64.b64encode(data).decode("ascii")
        item = encode_image_item(encoded, hashlib.md5(data, usedforsecurity=False).hexdigest())
        self.images = (*self.images, item)

    def set_card(self, card: Card, *, late: bool) -> None:
        """Take in the one card. Raises `CardError` for what is none and `StateError` for a second one."""
        check_card(card)
        if self.card is not None:
            raise StateError("template_card: a stream carries one card, and this one has it already")
        self.card = deepcopy(card)
        self.card_late = late

    def card_for(self, msgid: str) -> Card | None:
        """Return the card if the answer to this callback carries it: the first that could, and its repetition."""
        if self.card is None or self.card_late:
            return None
        if self._card_msgid is None:
            self._card_msgid = msgid
        return self.card if self._card_msgid == msgid else None

    def tell_losses(self, text: str, texts: WeComTexts, *, single: bool) -> str:
        """Return the words that follow a bubble, and with them what of this could not be shown."""
        if self.pictures_lost:
            text = with_notice(text, texts.pictures_lost)
        if self.card_late and (is_visible(text) or not single):
            text = with_notice(text, texts.card_lost)
        return text


def check_images(images: Sequence[bytes], *, beside: int) -> None:
    """Raise `StateError` for what cannot be further pictures beside so many."""
    if beside + len(images) > MAX_IMAGES:
        raise StateError(f"msg_item: at most {MAX_IMAGES} images")
    for data in images:
        if len(data) > MAX_IMAGE_BYTES:
            raise StateError(f"msg_item: an image of {len(data)} bytes, {MAX_IMAGE_BYTES} are the limit")
        if sniff_type(data[:MAGIC_BYTES]) not in ("image/png", "image/jpeg"):
            raise StateError("msg_item: neither JPG nor PNG")


def encoded_size(data: bytes) -> int:
    """Return how many bytes a picture holds: those of its base64."""
    return (len(data) + 2) // 3 * 4
