"""The files of a message: which of the vendor's attachments are files, and where they can be downloaded.

Layer 3, pure. Source: VK, objects of attachments (dev.vk.com/ru/reference/objects/attachments-message), photo sizes
(dev.vk.com/ru/reference/objects/photo-sizes). What is not as the page has it is left out: a message does not fail for
one of its pictures. So are videos, audios, posts, links and gifts, which have no file to download.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from urllib.parse import quote

from rawbot.event import Attachment
from rawbot.media import decode_filename
from rawbot.vk.fields import Json
from rawbot.vk.objects import VKMessage

LIFETIME = 3600.0
"""Seconds after which a URL is not relied upon; the page names no time."""

MAX_ATTACHMENTS = 100
"""Files of one message, its quoted ones included: a message has ten at most, but may forward hundreds of messages."""

_File = tuple[str, str, str]
"""Kind, URL and name."""


class VKAttachment(Attachment):
    """A file that came with a message, or with one that it quotes."""

    __slots__ = ("raw", "type")

    def __init__(self, kind: str, url: str, *, type: str, raw: Json, expires_at: float, name: str = "") -> None:  # noqa: A002 - the vendor's word
        super().__init__(kind, url, expires_at=expires_at, name=name)
        self.type = type
        """The vendor's: `photo`, `doc`, `audio_message`, `sticker` or `graffiti`."""
        self.raw = raw
        """The vendor's object of that type, as with the transcript of a voice message."""

    def decoder(self) -> "_AsItIs":
        """Return what leaves the bytes alone."""
        return _AsItIs()


class _AsItIs:
    def update(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""


def attachments_of(message: VKMessage, now: float) -> list[VKAttachment]:
    """Return the message's files, then those of the message that it answers, then of those that it forwards.

    `now` is the time of the event, Unix seconds. Nothing raises: what is no file is not in the list.
    """
    raw = message.raw
    if not (raw.get("attachments") or raw.get("reply_message") or raw.get("fwd_messages")):
        return []  # as most: 0.2 µs in place of 1.2
    quoted = (raw, raw.get("reply_message"), *_list(raw.get("fwd_messages")))
    return list(islice(_files(quoted, now + LIFETIME), MAX_ATTACHMENTS))


def _files(messages: tuple[object, ...], expires_at: float) -> Iterator[VKAttachment]:
    for message in messages:
        for item in _list(message.get("attachments")) if isinstance(message, dict) else ():
            if (attachment := _read(item, expires_at)) is not None:
                yield attachment


def _read(item: object, expires_at: float) -> VKAttachment | None:
    if not isinstance(item, dict):
        return None
    vendor_type = item.get("type")
    if not isinstance(vendor_type, str) or vendor_type not in _READERS:
        return None
    raw = item.get(vendor_type)
    if not isinstance(raw, dict):
        return None
    kind, url, name = _READERS[vendor_type](raw)
    return VKAttachment(kind, url, type=vendor_type, raw=raw, expires_at=expires_at, name=name) if url else None


def _photo(photo: Json) -> _File:
    return "image", _largest(*_list(photo.get("sizes")), photo.get("orig_photo")), ""


def _doc(doc: Json) -> _File:
    title, extension = doc.get("title"), doc.get("ext")
    name = _file_name(title) if isinstance(title, str) else ""
    if name and "." not in name and isinstance(extension, str):
        name = _file_name(f"{name}.{extension}")
    return "file", _url(doc.get("url")), name


def _audio_message(voice: Json) -> _File:
    return "file", _url(voice.get("link_ogg")) or _url(voice.get("link_mp3")), ""


def _sticker(sticker: Json) -> _File:
    return "image", _largest(*_list(sticker.get("images"))), ""


def _graffiti(graffiti: Json) -> _File:
    return "image", _url(graffiti.get("url")), ""


def _largest(*copies: object) -> str:
    """Return the URL of the copy with the most pixels; old photos have no width and height, but a type that tells."""
    found = [copy for copy in copies if isinstance(copy, dict) and _url(copy.get("url"))]
    return _url(max(found, key=_rank)["url"]) if found else ""


def _rank(copy: Json) -> tuple[int, int]:
    width, height, name = copy.get("width"), copy.get("height"), copy.get("type")
    pixels = width * height if type(width) is int and type(height) is int else 0
    return pixels, _SIZES.get(name, -1) if isinstance(name, str) else -1


def _url(value: object) -> str:
    return value if isinstance(value, str) and value.startswith(("https://", "http://")) else ""


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _file_name(title: str) -> str:
    """Return the title without what no name of a file has: the user chose it, and the rule for headers has them all."""
    return decode_filename(b"filename*=utf-8''" + quote(title, safe="", errors="replace").encode())


_SIZES = {name: rank for rank, name in enumerate((*"smopqrxyzw", "max", "base", "orig"))}

_READERS: dict[str, Callable[[Json], _File]] = {
    "photo": _photo,
    "doc": _doc,
    "audio_message": _audio_message,
    "sticker": _sticker,
    "graffiti": _graffiti,
}
