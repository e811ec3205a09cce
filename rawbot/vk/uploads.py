"""Photos and documents for messages: ask where to, post the file, save it. The result is named in `attachment`.

Layer 3, pure: it says what is to be called and posted, and `VKApi` does. Sources: dev.vk.com/ru/api/upload (messages),
dev.vk.com/ru/method/photos.saveMessagesPhoto, dev.vk.com/ru/method/docs.save.

A file that was posted and not saved is seen by nobody, so the post is repeated when it is not known what came of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import orjson

from rawbot.errors import StateError
from rawbot.media import MAGIC_BYTES, sniff_type
from rawbot.vk.errors import AnswerError, UploadError, VKError, clean
from rawbot.vk.methods import EncodedCall
from rawbot.vk.multipart import draw_boundary, encode_file

OnDone = Callable[[object], None]
Wanted = Callable[[], bool]

DOCUMENT_KINDS = ("doc", "audio_message", "graffiti")

_OK = 200
_SERVER_ERROR = 500


class Caller(Protocol):
    """Who makes calls and posts files: `VKApi`."""

    def submit(self, method: str, params: Mapping[str, object], on_done: OnDone, *, wanted: Wanted = ...) -> None:
        """Call a method; tell `on_done` its result or a `VKError`."""

    def post(
        self, what: str, request: EncodedCall, decode: Callable[[int, bytes], object], on_done: OnDone, wanted: Wanted
    ) -> None:
        """Make a request beside the API, which may be repeated; tell `on_done` what `decode` makes of the answer."""


@dataclass(frozen=True)
class Kind:
    """How files of one kind are sent."""

    ask: str
    field: str
    """The form's field with the file."""
    answers: tuple[str, ...]
    """What the upload server returns; all of it goes to `save`."""
    save: str
    attachment: str
    """With which its name in a message begins."""


PHOTO = Kind(
    "photos.getMessagesUploadServer", "photo", ("server", "photo", "hash"), "photos.saveMessagesPhoto", "photo"
)
DOCUMENT = Kind("docs.getMessagesUploadServer", "file", ("file",), "docs.save", "doc")


@dataclass(slots=True, eq=False, repr=False)
class Upload:
    """One file on its way. `on_done` is told the attachment's name, `photo-1_2_abc`, or a `VKError`.

    Raises `StateError` for an empty file, or one that is not bytes.
    """

    caller: Caller
    kind: Kind
    data: bytes
    name: str
    on_done: OnDone
    wanted: Wanted
    entropy: Callable[[int], bytes]
    https: bool
    """Whether the upload server must be one by https, as the API is."""

    def __post_init__(self) -> None:
        if not isinstance(self.data, bytes | bytearray | memoryview) or not len(self.data):
            raise StateError("a file is uploaded as bytes, and an empty one is not")
        self.data = bytes(self.data)

    def start(self, params: Mapping[str, object]) -> None:
        """Ask for an upload server; these are the parameters of the method that names it."""
        self._call(self.kind.ask, params, self._post)

    def _call(self, method: str, params: Mapping[str, object], then: OnDone) -> None:
        """Go on with `then`, if there is a result; else it is over."""

        def on_done(outcome: object) -> None:
            (self.on_done if isinstance(outcome, VKError) else then)(outcome)

        self.caller.submit(method, params, on_done, wanted=self.wanted)

    def _post(self, server: object) -> None:
        url = server.get("upload_url") if isinstance(server, dict) else None
        if not isinstance(url, str) or not self._may_post_to(url):
            self.on_done(UploadError(0, "VK names no upload server", self.kind.ask))
            return
        boundary = draw_boundary(self.data, self.entropy)
        content_type = sniff_type(self.data[:MAGIC_BYTES])
        body, form = encode_file(self.kind.field, self.name, content_type, self.data, boundary)
        self.data = b""
        request = EncodedCall(url, body, ((b"content-type", form),))
        self.caller.post("upload", request, self._decode, self._save, self.wanted)

    def _may_post_to(self, url: str) -> bool:
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        return bool(parts.hostname) and parts.scheme in (("https",) if self.https else ("https", "http"))

    def _decode(self, status: int, body: bytes) -> object:
        return decode_upload(status, body, self.kind.answers)

    def _save(self, posted: object) -> None:
        if not isinstance(posted, dict):
            self.on_done(posted)
            return
        params = posted if self.kind is PHOTO else {**posted, "title": self.name}
        self._call(self.kind.save, params, self._tell)

    def _tell(self, saved: object) -> None:
        name = attachment_name(self.kind, saved)
        self.on_done(name or UploadError(0, "VK did not say what it saved", self.kind.save))


def decode_upload(status: int, body: bytes, fields: Sequence[str]) -> dict[str, object]:
    """Return these fields of an upload server's answer. Raises `UploadError`, or `AnswerError` when it did not answer.

    A photo that it could not read comes back as an empty list, in a string.
    """
    if status >= _SERVER_ERROR:
        raise AnswerError(0, f"HTTP {status}", "upload")
    if status != _OK:
        raise UploadError(0, f"HTTP {status}", "upload")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise AnswerError(0, "the answer is not one of an upload server", "upload") from None
    found = {field: value.get(field) for field in fields} if isinstance(value, dict) else {}
    if found and all(isinstance(v, str | int) and v not in ("", "[]") for v in found.values()):
        return found
    reason = value.get("error") if isinstance(value, dict) else None
    raise UploadError(0, clean(reason) or "the server did not take the file", "upload")


def attachment_name(kind: Kind, saved: object) -> str:
    """Return the name by which a message has this file, or "" when the answer holds none.

    A photo comes in a list, a document as `{"type": "doc", "doc": {…}}`; a voice message is sent as a document.
    """
    found = saved[0] if isinstance(saved, list) and saved else saved
    if isinstance(found, dict) and isinstance(found.get("type"), str):
        found = found.get(found["type"], found)
    if not isinstance(found, dict):
        return ""
    owner_id, file_id, access_key = found.get("owner_id"), found.get("id"), found.get("access_key")
    if not isinstance(owner_id, int) or not isinstance(file_id, int):
        return ""
    key = f"_{access_key}" if isinstance(access_key, str) and access_key else ""
    return f"{kind.attachment}{owner_id}_{file_id}{key}"
