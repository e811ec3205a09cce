"""rawbot/vk/attachments.py: which attachments are files, the largest copy of each picture, and nothing that fails."""

import asyncio

import pytest
import vk_samples as vk
from hypothesis import given
from hypothesis import strategies as st
from vk_samples import PHOTO

from rawbot.event import Attachment
from rawbot.media import Media
from rawbot.vk.attachments import LIFETIME, MAX_ATTACHMENTS, VKAttachment, attachments_of
from rawbot.vk.objects import VKMessage, decode_message

Json = dict[str, object]
NOW = 1_767_225_600.0
URL = "https://sun9-1.userapi.com/capability"
DOC: Json = {"id": 1, "owner_id": 2, "title": "отчёт.pdf", "size": 10, "ext": "pdf", "url": URL, "type": 1}
VOICE: Json = {"id": 1, "owner_id": 2, "duration": 2, "link_ogg": URL + ".ogg", "link_mp3": URL + ".mp3"}
STICKER: Json = {
    "sticker_id": 9,
    "images": [{"url": URL + "64", "width": 64, "height": 64}, {"url": URL + "512", "width": 512, "height": 512}],
    "images_with_background": [{"url": URL + "b", "width": 1024, "height": 1024}],
}
GRAFFITI: Json = {"id": 1, "owner_id": 2, "url": URL + ".png", "width": 586, "height": 354}


def attached(kind: str, value: object) -> Json:
    return {"type": kind, kind: value}


def message(*attachments: object, **more: object) -> VKMessage:
    value = vk.message(attachments=[]) | more
    decoded = decode_message(value)
    decoded.raw["attachments"] = list(attachments)
    return decoded


def only(kind: str, value: object) -> VKAttachment:
    (attachment,) = attachments_of(message(attached(kind, value)), NOW)
    return attachment


@pytest.mark.parametrize(
    ("vendor_type", "value", "kind", "url", "name"),
    [
        ("photo", PHOTO, "image", "https://sun9-1.userapi.com/z.jpg", ""),
        ("doc", DOC, "file", URL, "отчёт.pdf"),
        ("audio_message", VOICE, "file", URL + ".ogg", ""),
        ("sticker", STICKER, "image", URL + "512", ""),
        ("graffiti", GRAFFITI, "image", URL + ".png", ""),
    ],
)
def test_a_file_of_each_type_can_be_downloaded(vendor_type: str, value: Json, kind: str, url: str, name: str):
    attachment = only(vendor_type, value)
    assert isinstance(attachment, Attachment)
    assert (attachment.kind, attachment.url, attachment.name) == (kind, url, name)
    assert (attachment.type, attachment.raw, attachment.headers) == (vendor_type, value, ())
    assert attachment.expires_at == NOW + LIFETIME


@pytest.mark.parametrize(
    "vendor_type", ["video", "audio", "wall", "link", "gift", "story", "poll", "market", "call", "new"]
)
def test_what_has_no_file_is_left_out(vendor_type: str):
    assert attachments_of(message(attached(vendor_type, {"url": URL, "sizes": PHOTO["sizes"]})), NOW) == []


def test_files_keep_their_order():
    files = [attached("doc", DOC | {"url": f"{URL}{number}"}) for number in range(3)]
    found = attachments_of(message(files[0], attached("video", {}), files[1], files[2]), NOW)
    assert [attachment.url for attachment in found] == [f"{URL}{number}" for number in range(3)]


# Pictures


def sized(*copies: tuple[str, int, int]) -> Json:
    return {"sizes": [{"type": name, "url": f"{URL}/{name}", "width": w, "height": h} for name, w, h in copies]}


def test_the_copy_with_the_most_pixels_is_taken_wherever_it_stands():
    assert only("photo", sized(("z", 1080, 810), ("m", 130, 98), ("r", 510, 340))).url == f"{URL}/z"
    assert only("photo", sized(("m", 130, 98), ("r", 510, 340), ("x", 300, 200))).url == f"{URL}/r"


@pytest.mark.parametrize("order", ["smopqrxyzw", "wzyxrqpoms", "xswomzqpyr"])
def test_copies_without_a_size_are_told_apart_by_their_type(order: str):
    assert only("photo", sized(*((name, 0, 0) for name in order))).url == f"{URL}/w"


@pytest.mark.parametrize("half", [{"width": 5000}, {"height": 5000}, {"width": 5000, "height": None}, {"width": "9"}])
def test_a_copy_with_half_a_size_has_none(half: Json):
    whole = {"type": "s", "url": f"{URL}/s", "width": 1, "height": 1}
    assert only("photo", {"sizes": [whole, {"type": "w", "url": f"{URL}/w"} | half]}).url == f"{URL}/s"
    assert only("photo", {"sizes": [{"type": "w", "url": f"{URL}/w"} | half, whole]}).url == f"{URL}/s"


@pytest.mark.parametrize("unknown", ["?", "", None, 5])
def test_a_copy_of_an_unknown_type_is_less_than_the_smallest(unknown: object):
    copies = [{"type": unknown, "url": f"{URL}/unknown"}, {"type": "s", "url": f"{URL}/s"}]
    assert only("photo", {"sizes": copies}).url == only("photo", {"sizes": copies[::-1]}).url == f"{URL}/s"


def test_of_two_copies_of_one_size_the_uncropped_is_taken():
    assert only("photo", sized(("x", 394, 373), ("r", 394, 373))).url == f"{URL}/x"  # as in a recorded message


def test_the_original_is_taken_where_it_is_told():
    original = {"type": "base", "url": f"{URL}/base", "width": 2560, "height": 1920}
    assert only("photo", PHOTO | {"orig_photo": original}).url == f"{URL}/base"
    assert only("photo", {"orig_photo": original}).url == f"{URL}/base"
    assert only("photo", PHOTO | {"orig_photo": {"url": f"{URL}/base"}}).url == "https://sun9-1.userapi.com/z.jpg"


@pytest.mark.parametrize(
    "photo", [{}, {"sizes": []}, {"sizes": None}, {"sizes": [1, {}, {"url": 5}]}, {"sizes": {"a": 1}}]
)
def test_a_photo_without_a_copy_is_left_out(photo: Json):
    assert attachments_of(message(attached("photo", photo)), NOW) == []


# Names and URLs


@pytest.mark.parametrize(
    ("title", "extension", "name"),
    [
        ("report.pdf", "pdf", "report.pdf"),
        ("report", "pdf", "report.pdf"),
        ("report.v2", "pdf", "report.v2"),
        ("отчёт за год; часть 2.docx", "docx", "отчёт за год; часть 2.docx"),
        ('50% "off"\'.txt', "txt", '50% "off"\'.txt'),
        ("../../etc/passwd", "", "passwd."),
        ("..\\..\\boot.ini", "ini", "boot.ini"),
        (".bashrc", "", "bashrc."),
        ("a\nb\x00.txt", "txt", "ab.txt"),
        ("", "pdf", ""),
        ("...", "pdf", ""),
        ("\ud800.txt", "txt", "?.txt"),
        (None, "pdf", ""),
        (5, "pdf", ""),
        ("report", None, "report"),
        ("report", 5, "report"),
        ("report", "../x", "x"),
    ],
)
def test_a_title_becomes_the_name_of_a_file(title: object, extension: object, name: str):
    assert only("doc", DOC | {"title": title, "ext": extension}).name == name


@pytest.mark.parametrize("url", [None, "", "ftp://a/b", "javascript:alert(1)", "//a/b", 5, ["https://a"], {}], ids=repr)
@pytest.mark.parametrize(("kind", "field"), [("doc", "url"), ("graffiti", "url"), ("audio_message", "link_ogg")])
def test_what_is_no_url_is_left_out(kind: str, field: str, url: object):
    assert attachments_of(message(attached(kind, {field: url})), NOW) == []


def test_a_voice_message_is_taken_in_the_other_format_where_one_is_missing():
    assert only("audio_message", {"link_mp3": URL}).url == URL


# Quoted messages


def test_the_files_of_quoted_messages_come_behind_its_own():
    own, replied, forwarded = (
        attached("doc", DOC | {"url": f"{URL}/{place}"}) for place in ("own", "reply", "forward")
    )
    quoting = message(own, reply_message={"attachments": [replied]}, fwd_messages=[{"attachments": [forwarded]}] * 2)
    assert [attachment.url[len(URL) + 1 :] for attachment in attachments_of(quoting, NOW)] == [
        "own",
        "reply",
        "forward",
        "forward",
    ]


def test_a_message_that_forwards_hundreds_has_not_all_of_their_files():
    files = {"attachments": [attached("doc", DOC)] * 10}
    assert len(attachments_of(message(fwd_messages=[files] * 200), NOW)) == MAX_ATTACHMENTS == 100


# Whatever comes

plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9) | st.just(URL)
keys = st.sampled_from(
    ["type", "photo", "doc", "sizes", "url", "width", "height", "images", "title", "ext", "link_ogg"]
)
names = st.sampled_from(["photo", "doc", "audio_message", "sticker", "graffiti", "video"])
values = st.recursive(
    plain | names, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | names, inner, max_size=4)
)


@given(values, values, values)
def test_nothing_fails_for_a_picture(attachments: object, replied: object, forwarded: object):
    decoded = message(reply_message=replied, fwd_messages=forwarded)
    decoded.raw["attachments"] = attachments
    for attachment in attachments_of(decoded, NOW):
        assert attachment.url.startswith("http")


@given(st.sampled_from(["photo", "doc", "audio_message", "sticker", "graffiti"]), values)
def test_nor_for_what_is_in_one(kind: str, value: object):
    assert len(attachments_of(message(attached(kind, value), attached("doc", DOC)), NOW)) in (1, 2)


# As an attachment


def test_a_repr_does_not_give_the_file_away():
    assert repr(only("doc", DOC)) == "<VKAttachment file>"


def test_a_file_arrives_as_it_is():
    decoder = only("doc", DOC).decoder()
    assert decoder.update(b"\x00abc") + decoder.update(b"") + decoder.finish() == b"\x00abc"


def test_it_is_read_by_the_shell():
    attachment = only("doc", DOC)

    async def fetch(wanted: Attachment, max_bytes: int, path: str | None) -> Media:
        return Media(wanted.name, "application/pdf", max_bytes, wanted.url.encode(), path)

    attachment.fetch = fetch
    assert asyncio.run(attachment.read(max_bytes=5)) == Media("отчёт.pdf", "application/pdf", 5, URL.encode())
