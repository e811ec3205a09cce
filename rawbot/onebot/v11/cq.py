"""CQ codes: a message as one string, `[CQ:image,file=a.jpg]` between plain text, to segments and back. Stateless.

Layer 3, pure. Source: OneBot 11, message/string (grammar, escapes), message/array (segments). What segments mean is
another file's business.

The pattern gives nothing back once it has read it, and no part of a code may hold a bare bracket: reading is linear in
the length of the text, whatever is in it.
"""

import base64
import re
from typing import TypedDict

import orjson


class V11Segment(TypedDict):
    """A part of a message as OneBot 11 writes it; in `data` nearly all values are strings."""

    type: str
    data: dict[str, object]


_NAME = r"[^\[\],=&\s]++"
_CODE = re.compile(rf"\[CQ:({_NAME})((?>(?:,{_NAME}=[^\[\],]*+)*))\]")
_PLAIN_NAME = re.compile(_NAME)

_ESCAPED = re.compile("&(?:amp|#91|#93|#44);")
_MEANING = {"&amp;": "&", "&#91;": "[", "&#93;": "]", "&#44;": ","}


def escape_text(text: str) -> str:
    """Write plain text so that no part of it is taken for a code."""
    return text.replace("&", "&amp;").replace("[", "&#91;").replace("]", "&#93;")


def escape_value(text: str) -> str:
    """Write a parameter's value: as text, and the comma too."""
    return escape_text(text).replace(",", "&#44;")


def unescape(text: str) -> str:
    """Undo both escapes; an ampersand that begins none of the four stands for itself."""
    return _ESCAPED.sub(lambda found: _MEANING[found[0]], text) if "&" in text else text


def text_segment(text: str) -> V11Segment:
    """Return plain text as a segment."""
    return {"type": "text", "data": {"text": text}}


def decode_cq(text: str, *, auto_escape: bool = False) -> list[V11Segment]:
    """Read a message string. What looks like a code and breaks the grammar is text; nothing is ever refused.

    With `auto_escape` the string is plain text from end to end. Of a parameter that is there twice, the last counts.
    """
    if auto_escape:
        return [text_segment(text)] if text else []
    segments: list[V11Segment] = []
    end = 0
    for code in _CODE.finditer(text):
        if code.start() > end:
            segments.append(text_segment(unescape(text[end : code.start()])))
        segments.append({"type": code[1], "data": _decode_params(code[2])})
        end = code.end()
    if end < len(text):
        segments.append(text_segment(unescape(text[end:])))
    return segments


def _decode_params(params: str) -> dict[str, object]:
    data: dict[str, object] = {}
    for param in params.split(",")[1:]:  # each begins with its comma
        name, _, value = param.partition("=")
        data[name] = unescape(value)
    return data


def encode_cq(segments: list[V11Segment]) -> str:
    """Write segments as one message string. Values that are None are left out, as are parameters without a fit name.

    A segment whose type cannot stand in a code becomes its type in brackets, as text.
    """
    return "".join(map(_encode_segment, segments))


def _encode_segment(segment: V11Segment) -> str:
    kind, data = segment["type"], segment["data"]
    if kind == "text":
        return escape_text(encode_value(data.get("text", "")))
    if not is_name(kind):
        return escape_text(f"[{kind}]")
    params = [
        f",{name}={escape_value(encode_value(value))}"
        for name, value in data.items()
        if value is not None and is_name(name)
    ]
    return f"[CQ:{kind}{''.join(params)}]"


def is_name(name: str) -> bool:
    """Tell whether a code can bear this as the name of its function or of a parameter."""
    return _PLAIN_NAME.fullmatch(name) is not None


def encode_value(value: object) -> str:
    """Return any value as the string that OneBot 11 wants: truth as 1 and 0, bytes as base64://, the rest as JSON.

    What has no JSON is left empty.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, bytes):
        return "base64://" + base64.b64encode(value).decode("ascii")
    if isinstance(value, int | float):
        return str(value)
    try:
        return orjson.dumps(value, _encode_bytes).decode()
    except orjson.JSONEncodeError:  # too deep, too large a number or no value within: none of it came from a CQ code
        return ""


def _encode_bytes(value: object) -> str:
    if isinstance(value, bytes):
        return encode_value(value)
    raise TypeError
