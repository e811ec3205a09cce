"""Files of messages: the methods that name an upload server and save what was posted there, and that server.

Layer 3 (simulate), pure. Sources: dev.vk.com/ru/api/upload (photos and documents in messages),
dev.vk.com/ru/method/photos.saveMessagesPhoto, dev.vk.com/ru/method/docs.save; RFC 7578 for the form.
"""

import re
from hashlib import blake2b
from urllib.parse import urlsplit

import orjson

from rawbot.exchange import Request, Response
from rawbot.simulate.vk_call import Call
from rawbot.simulate.vk_events import document_attachment, photo_attachment
from rawbot.simulate.vk_rules import ApiError, JsonObject, is_object
from rawbot.simulate.vk_world import HostedFile, World

FIELDS = {"photo": "photo", "doc": "file"}
"""The field of the form that the file is in, by the kind of the upload server."""
DOCUMENT_TYPES = ("doc", "audio_message", "graffiti")

_SERVER = 854_100
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8")
_JSON = b"application/json; charset=utf-8"


def get_photo_server(call: Call) -> object:
    """Carry out photos.getMessagesUploadServer."""
    call.integer("peer_id", 0)
    return {"upload_url": f"{call.world.base_url}/upload/photo", "album_id": -64, "group_id": call.caller.id}


def get_document_server(call: Call) -> object:
    """Carry out docs.getMessagesUploadServer."""
    if call.text("type", "doc") not in DOCUMENT_TYPES:
        raise ApiError(100, "type is unknown")
    call.integer("peer_id")
    return {"upload_url": f"{call.world.base_url}/upload/doc"}


def save_photo(call: Call) -> object:
    """Carry out photos.saveMessagesPhoto: `server`, `photo` and `hash` as the upload server told them."""
    token = call.text("photo")
    if call.integer("server") != _SERVER or call.text("hash") != _hash(token):
        raise ApiError(100, "server, photo and hash are not those of an upload")
    key = _key_in(token, "photo")
    hosted = _uploaded(call, key)
    photo_id = next(call.world.file_ids)
    saved = photo_attachment(_url(call.world, key), owner_id=call.caller.peer_id, photo_id=photo_id, date=_date(call))
    return [_save(call.world, hosted, saved)]


def save_document(call: Call) -> object:
    """Carry out docs.save: `file` as the upload server told it."""
    key = _key_in(call.text("file"), "file")
    hosted = _uploaded(call, key)
    hosted.name = call.text("title", "") or hosted.name
    saved = document_attachment(
        _url(call.world, key),
        owner_id=call.caller.peer_id,
        doc_id=next(call.world.file_ids),
        name=hosted.name,
        size=len(hosted.data),
        date=_date(call),
    )
    _save(call.world, hosted, saved)
    return saved


def receive_upload(world: World, kind: str, request: Request) -> Response:
    """Be the upload server of one kind."""
    found = _read_form(request, FIELDS[kind])
    if found is None:
        return _told({"error": "no_file", "error_descr": "there is no file in the form"})
    data, name = found
    url, _ = world.host(data, name)
    key = urlsplit(url).path.rpartition("/")[2]
    if kind == "doc":
        return _told({"file": orjson.dumps({"file": key}).decode()})
    if not data.startswith(_PICTURES):
        return _told({"server": _SERVER, "photo": "[]", "hash": _hash("[]")})
    photo = orjson.dumps([{"photo": key, "sizes": []}]).decode()
    return _told({"server": _SERVER, "photo": photo, "hash": _hash(photo)})


def _read_form(request: Request, field: str) -> tuple[bytes, str] | None:
    """Return the file in this field and its name, None where there is none."""
    form = re.search(rb'multipart/form-data;.*boundary="?([^";]+)', request.header(b"content-type") or b"")
    if form is None or request.method != "POST":
        return None
    for part in (b"\r\n" + request.body).split(b"\r\n--" + form[1])[1:-1]:
        head, _, data = part.partition(b"\r\n\r\n")
        named = re.search(rb'(?i)content-disposition:[^\r\n]*[; ]name="([^"]*)"', head)
        if named is not None and named[1] == field.encode():
            filename = re.search(rb'[; ]filename="([^"]*)"', head)
            return data, filename[1].decode("utf-8", "replace") if filename else ""
    return None


def _uploaded(call: Call, key: str) -> HostedFile:
    hosted = call.world.files.get(key)
    if hosted is None or hosted.saved is not None:
        raise ApiError(100, "what was uploaded is unknown, or saved already")
    return hosted


def _save(world: World, hosted: HostedFile, saved: JsonObject) -> JsonObject:
    """Note it as an attachment; return what is inside of it."""
    kind = str(saved["type"])
    inside = saved[kind]
    if not is_object(inside):
        raise TypeError
    hosted.saved = saved
    world.attachments[f"{kind}{inside['owner_id']}_{inside['id']}"] = hosted
    return inside


def _key_in(text: str, name: str) -> str:
    """Return the key in what the upload server told. Raises `ApiError` (100)."""
    try:
        told: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        told = None
    told = told[0] if isinstance(told, list) and told else told
    key = told.get(name) if is_object(told) else None
    if not isinstance(key, str):
        raise ApiError(100, f"{name} is not what the upload server told")
    return key


def _url(world: World, key: str) -> str:
    return f"{world.base_url}/files/{key}"


def _date(call: Call) -> int:
    return int(call.now)


def _hash(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _told(value: JsonObject) -> Response:
    return Response(200, orjson.dumps(value), _JSON)
