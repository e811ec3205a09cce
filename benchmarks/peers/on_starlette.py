"""Starlette on uvicorn, with the parser in Python or the one in C."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.peers.asgi import serve_by_uvicorn
from benchmarks.peers.callbacks import JSON, Callbacks, RefusedError, split_query
from benchmarks.peers.order import Order
from benchmarks.traffic import PATH


def serve_h11(order: Order) -> None:
    """Serve until a signal."""
    serve_by_uvicorn(_make_app(Callbacks(order.ciphers)), order, "h11")


def serve_httptools(order: Order) -> None:
    """Serve until a signal."""
    serve_by_uvicorn(_make_app(Callbacks(order.ciphers)), order, "httptools")


def _make_app(callbacks: Callbacks) -> Starlette:
    async def callback(request: Request) -> Response:
        query = split_query(request.scope["query_string"].decode())
        try:
            answer, opened = callbacks.answer(
                query.get("msg_signature", ""),
                query.get("timestamp", ""),
                query.get("nonce", ""),
                await request.body(),
            )
        except RefusedError as error:
            return Response(status_code=error.status)
        if opened is not None:
            callbacks.start(opened)
        return Response(answer, media_type=JSON)

    return Starlette(routes=[Route(PATH, callback, methods=["POST"])])
