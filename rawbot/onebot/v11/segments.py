"""Segments of OneBot 12 to those of OneBot 11 and back; ids go through the tables. No files are moved here.

Layer 3, pure. Source: OneBot 11, message/segment; OneBot 12, interface/message/segments.

| 12                     | 11                      |                                                              |
|------------------------|-------------------------|--------------------------------------------------------------|
| text                   | text                    |                                                              |
| mention, mention_all   | at with a number, `all` |                                                              |
| image, video, file     | the same                | `file_id` is `file`; 11 has no `file`, but its clients do     |
| voice, audio           | record                  | comes back as voice                                          |
| location               | location                | 11 has strings: `lat`, `lon`                                 |
| reply                  | reply                   | 11 does not tell whom                                        |
| `cq.` and a name       | that name               | what only 11 has: face, share, music … with its data         |
| any other              | the same                | an extension; as text where 11 means something else by it    |
"""

import base64
import binascii
import math
from urllib.parse import unquote, urlsplit

from rawbot.media import MAGIC_BYTES, default_name, sniff_type
from rawbot.onebot.messages import Message, Segment, alt_message
from rawbot.onebot.retcodes import BAD_PARAM, BAD_SEGMENT_DATA, ActionError
from rawbot.onebot.v11.cq import V11Segment, decode_cq, encode_value, is_name, text_segment
from rawbot.onebot.v11.face import Ids
from rawbot.onebot.v11.params import Params, read_integer

MEDIA_TO_V11 = {"image": "image", "voice": "record", "audio": "record", "video": "video", "file": "file"}
MEDIA_FROM_V11 = {"image": "image", "record": "voice", "video": "video", "file": "file"}

PREFIX = "cq."
"""Marks in OneBot 12 what only OneBot 11 has. The key `type`, forbidden in segment data of 12, bears it, too."""
ONLY_V11 = frozenset(
    ("face", "rps", "dice", "shake", "poke", "anonymous", "share", "contact", "music", "forward", "node", "xml", "json")
)
_OF_V11 = ONLY_V11 | {"at", "record"}
_TYPE = "type"


def encode_segments(message: Message, ids: Ids) -> list[V11Segment]:
    """Write a message of OneBot 12 as segments of OneBot 11, all values strings."""
    return [_encode(segment, ids) for segment in message]


def _encode(segment: Segment, ids: Ids) -> V11Segment:
    kind, data = segment.type, segment.data
    if kind == "text":
        return text_segment(encode_value(data.get("text", "")))
    if kind == "mention":
        return {"type": "at", "data": {"qq": str(ids.users.encode(str(data.get("user_id", ""))))}}
    if kind == "mention_all":
        return {"type": "at", "data": {"qq": "all"}}
    if kind == "reply":
        return {"type": "reply", "data": {"id": str(ids.messages.encode(str(data.get("message_id", ""))))}}
    if kind == "location":
        return {"type": "location", "data": _strings(data, {"latitude": "lat", "longitude": "lon"})}
    if kind in MEDIA_TO_V11:
        return {"type": MEDIA_TO_V11[kind], "data": _strings(data, {"file_id": "file"})}
    name = kind.removeprefix(PREFIX)
    if name not in ONLY_V11:
        name = kind
    if not is_name(name) or kind in _OF_V11:
        return text_segment(alt_message([segment]))
    return {"type": name, "data": _strings(data, {PREFIX + _TYPE: _TYPE})}


def _strings(data: dict[str, object], names: dict[str, str]) -> dict[str, object]:
    return {names.get(key, key): encode_value(value) for key, value in data.items() if value is not None}


def read_message(value: object, *, auto_escape: bool = False) -> list[V11Segment]:
    """Read what stands for a message in a request: a string with CQ codes, one segment, or a list of segments.

    `auto_escape` is about strings only. Raises `ActionError` with `BAD_PARAM`.
    """
    if isinstance(value, str):
        return decode_cq(value, auto_escape=auto_escape)
    items = value if isinstance(value, list) else [value]
    return [_read_segment(item) for item in items]


def _read_segment(value: object) -> V11Segment:
    if not isinstance(value, dict) or not isinstance(kind := value.get("type"), str) or not kind:
        raise ActionError(BAD_PARAM, "message has to be a string, a segment or a list of segments")
    data = {} if value.get("data") is None else value["data"]
    if not isinstance(data, dict):
        raise ActionError(BAD_PARAM, "the data of a segment has to be an object or null")
    return {"type": kind, "data": {key: item for key, item in data.items() if item is not None}}


def decode_segments(segments: list[V11Segment], ids: Ids) -> Message:
    """Read segments of OneBot 11 as a message of OneBot 12. Raises `ActionError`.

    A media segment keeps in `file_id` whatever `file` says, be it a URL: see `upload_params`.
    """
    return [_decode(segment["type"], segment["data"], ids) for segment in segments]


def _decode(kind: str, data: Params, ids: Ids) -> Segment:
    if kind == "text":
        return Segment("text", {"text": _required(data, "text", kind)})
    if kind == "at":
        return _decode_at(data, ids)
    if kind == "reply":
        return Segment("reply", {"message_id": ids.message_id(read_integer(data.get("id"), "the id of a reply"))})
    if kind == "location":
        return _decode_location(data)
    if kind in MEDIA_FROM_V11:
        return Segment(MEDIA_FROM_V11[kind], {"file_id": _required(data, "file", kind)})
    renamed = {PREFIX + _TYPE if key == _TYPE else key: value for key, value in data.items()}
    return Segment(PREFIX + kind if kind in ONLY_V11 else kind, renamed)


def _required(data: Params, key: str, kind: str) -> str:
    value = data.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise ActionError(BAD_SEGMENT_DATA, f"a segment {kind} needs {key}, a string")
    return value


def _decode_at(data: Params, ids: Ids) -> Segment:
    target = data.get("qq")
    if target == "all":
        return Segment("mention_all", {})
    return Segment("mention", {"user_id": ids.user_id(read_integer(target, "the qq of an at"))})


def _decode_location(data: Params) -> Segment:
    read: dict[str, object] = {}
    for theirs, ours in (("lat", "latitude"), ("lon", "longitude")):
        try:
            number = float(_required(data, theirs, "location"))
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise ActionError(BAD_SEGMENT_DATA, f"{theirs} of a location has to be a number")
        read[ours] = number
    read |= {key: str(data.get(key, "")) for key in ("title", "content")}
    return Segment("location", read)


def upload_params(kind: str, file: str) -> Params | None:
    """Return the parameters of `upload_file` for what a `file` of OneBot 11 says; None when it is the id of a file.

    `kind` is the segment's type in OneBot 12 and names the file that has no name. Raises `ActionError`.
    """
    scheme, separator, rest = file.partition("://")
    if not separator:
        return None
    if scheme == "base64":
        data = _decode_base64(rest)
        return {"type": "data", "name": default_name(kind, sniff_type(data[:MAGIC_BYTES])), "data": data}
    if scheme in ("http", "https"):
        return {"type": "url", "name": _last_part(_path_of(file)) or kind, "url": file}
    if scheme == "file":
        path = unquote(rest)
        if path[2:3] == ":":  # file:///C:\… : the first slash is the URL's
            path = path.removeprefix("/")
        return {"type": "path", "name": _last_part(path) or kind, "path": path}
    return None


def _path_of(url: str) -> str:
    """Return the path of a URL without its escapes. Raises `ActionError` for what is no URL."""
    try:
        return unquote(urlsplit(url).path)
    except ValueError as error:
        raise ActionError(BAD_SEGMENT_DATA, "the URL of a file cannot be read") from error


def _last_part(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def _decode_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ActionError(BAD_SEGMENT_DATA, "a base64:// file cannot be decoded") from error
