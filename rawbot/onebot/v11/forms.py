"""An HTTP request as an action request: the action in the path, its parameters in the query, a form or JSON.

Layer 3, pure. Source: OneBot 11, communication/http. Who may ask is decided before, which action there is, after.
"""

from urllib.parse import parse_qsl, unquote

import orjson

from rawbot.errors import ProtocolError
from rawbot.exchange import Request
from rawbot.onebot.v11.params import Params

MAX_FIELDS = 1_000
"""Fields of a query or a form; the largest action has six."""

_JSON = b"application/json"
_FORM = b"application/x-www-form-urlencoded"


def decode_http(request: Request, path: str) -> Params:
    """Return the request as `translate_request` takes it. `path` is what stands behind the door's own: `/get_status`.

    What the body says wins over the query, of which the access token is no parameter. Raises `ProtocolError`: 404 for a
    path that names no action, 405 for methods other than GET and POST, 406 for a body of a type that is not supported,
    400 for one that cannot be read.
    """
    action = unquote(path.removeprefix("/").removesuffix("/"))
    if not action or "/" in action:
        raise ProtocolError("the path names no action", status=404)
    if request.method not in ("GET", "POST"):
        raise ProtocolError("actions are asked for by GET or POST", status=405, headers=((b"allow", b"GET, POST"),))
    params = _decode_fields(request.query)
    params.pop("access_token", None)
    if request.method == "POST" and request.body:
        params |= _decode_body(request.header(b"content-type") or b"", request.body)
    return {"action": action, "params": params}


def _decode_body(content_type: bytes, body: bytes) -> Params:
    media_type = content_type.partition(b";")[0].strip().lower()
    if media_type == _FORM:
        return _decode_fields(body)
    if media_type != _JSON:
        raise ProtocolError("a body has to be JSON or a form", status=406)
    try:
        params = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ProtocolError("the body is no JSON") from error
    if not isinstance(params, dict):
        raise ProtocolError("the body has to be an object")
    return params


def _decode_fields(fields: str | bytes) -> Params:
    """Read a query or a form. Of a field that is there twice, the last counts."""
    try:
        text = fields if isinstance(fields, str) else fields.decode("utf-8")
        return dict(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS))
    except ValueError as error:
        raise ProtocolError("the fields cannot be read") from error
