"""The least of OneBot 12 that answers actions over HTTP and WebSocket, on aiohttp: JSON, one bot, no token, no events.

What is left out beside rawbot: parameters by type hints, MessagePack, events and their buffer, heartbeats, limits.
"""

from collections.abc import Callable
from time import time
from typing import Any
from uuid import uuid4

import orjson
from aiohttp import WSMsgType, web

from benchmarks.peers.loops import loop_factory
from benchmarks.peers.order import HOST, Order

_JSON = "application/json"
_BOT = {"platform": "bench", "user_id": "1"}
_VERSION = {"impl": "bench", "version": "1.0", "onebot_version": "12"}


def serve(order: Order) -> None:
    """Serve until a signal."""
    app = web.Application()
    app.router.add_post("/", _answer_request)
    app.router.add_get("/", _talk)
    loop = loop_factory(order.loop)()
    web.run_app(app, host=HOST, port=order.port, shutdown_timeout=1, access_log=None, print=None, loop=loop)


def echo_text(text: str) -> dict[str, str]:
    """Give back the text."""
    return {"text": text}


def get_status() -> dict[str, object]:
    """Tell that all is well."""
    return {"good": True, "bots": [{"self": _BOT, "online": True}]}


_HANDLERS: dict[str, Callable[..., object]] = {"echo_text": echo_text, "get_status": get_status}


async def _answer_request(request: web.Request) -> web.Response:
    if request.content_type != _JSON:
        return web.Response(status=415)
    return web.Response(body=_answer(await request.read()), content_type=_JSON)


async def _talk(request: web.Request) -> web.WebSocketResponse:
    websocket = web.WebSocketResponse()
    await websocket.prepare(request)
    connect = {"id": str(uuid4()), "time": time(), "type": "meta", "detail_type": "connect", "sub_type": ""}
    await websocket.send_str(orjson.dumps(connect | {"version": _VERSION}).decode())
    async for message in websocket:
        if message.type is WSMsgType.TEXT:
            await websocket.send_str(_answer(message.data).decode())
    return websocket


def _answer(data: bytes | str) -> bytes:
    """Carry out an action; return the response."""
    request: Any = None
    try:
        request = orjson.loads(data)
        handler, params = _HANDLERS.get(request["action"]), request["params"]
    except (ValueError, LookupError, TypeError):
        return _encode("failed", 10001, None, "a bad request", request)
    if not isinstance(params, dict):
        return _encode("failed", 10001, None, "params must be an object", request)
    if request.get("self", _BOT) != _BOT:
        return _encode("failed", 10102, None, "there is no such bot", request)
    if handler is None:
        return _encode("failed", 10002, None, "there is no such action", request)
    try:
        return _encode("ok", 0, handler(**params), "", request)
    except TypeError:
        return _encode("failed", 10003, None, "bad parameters", request)


def _encode(status: str, retcode: int, data: object, message: str, request: object) -> bytes:
    response = {"status": status, "retcode": retcode, "data": data, "message": message}
    if isinstance(request, dict) and (echo := request.get("echo")):
        response["echo"] = echo
    return orjson.dumps(response)
