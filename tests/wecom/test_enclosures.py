"""rawbot/wecom/enclosures.py: what goes with the words, and which callback gets the card."""

import base64
import hashlib

import pytest
from wecom_callbacks import CARD, JPG, PNG

from rawbot.errors import StateError
from rawbot.wecom.cards import CardError
from rawbot.wecom.enclosures import MAX_IMAGE_BYTES, MAX_IMAGES, Enclosures, check_images, encoded_size
from rawbot.wecom.texts import WeComTexts


def test_nothing_is_shown_before_something_is_enclosed():
    enclosed = Enclosures()
    assert (enclosed.shown, enclosed.images, enclosed.card_for("m1")) == (False, (), None)


@pytest.mark.parametrize("data", [PNG, JPG])
def test_a_picture_is_encoded_as_the_platform_wants_it(data: bytes):
    enclosed = Enclosures()
    check_images([data], beside=MAX_IMAGES - 1)
    enclosed.add_image(data)
    encoded = base64.b64encode(data).decode()
    image = {"base64": encoded, "md5": hashlib.md5(data).hexdigest()}
    assert enclosed.images == ({"msgtype": "image", "image": image},)
    assert enclosed.shown
    assert encoded_size(data) == len(encoded)


@pytest.mark.parametrize(
    ("data", "images"),
    [(PNG, MAX_IMAGES), (PNG + bytes(MAX_IMAGE_BYTES), 0), (b"GIF89a" + bytes(20), 0), (b"", 0)],
)
def test_what_cannot_be_shown_is_refused(data: bytes, images: int):
    with pytest.raises(StateError, match="msg_item"):
        check_images([data], beside=images)


def test_the_card_goes_with_one_callback_and_its_repetition():
    enclosed = Enclosures()
    enclosed.set_card(CARD, late=False)
    assert enclosed.card_for("m1") == CARD
    assert enclosed.card_for("r1") is None
    assert enclosed.card_for("m1") == CARD


def test_a_late_card_goes_with_no_callback():
    enclosed = Enclosures()
    enclosed.set_card(CARD, late=True)
    assert enclosed.card_for("m1") is None
    assert enclosed.shown


def test_there_is_one_card_and_it_is_a_card():
    enclosed = Enclosures()
    with pytest.raises(CardError):
        enclosed.set_card({}, late=False)
    enclosed.set_card(CARD, late=False)
    with pytest.raises(StateError, match="one card"):
        enclosed.set_card(CARD, late=False)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("words", ["", "words"])
def test_what_could_not_be_shown_is_told_unless_a_card_can_go_alone(words: str, single: bool):  # noqa: FBT001
    texts, enclosed = WeComTexts(), Enclosures()
    assert enclosed.tell_losses(words, texts, single=single) == words
    enclosed.set_card(CARD, late=True)
    told = enclosed.tell_losses(words, texts, single=single)
    assert (texts.card_lost in told) == (bool(words) or not single)
    assert told.startswith(words)
    enclosed.pictures_lost = True
    told = enclosed.tell_losses(words, texts, single=single)
    assert texts.pictures_lost in told
    assert texts.card_lost in told
