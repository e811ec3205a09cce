"""FastAPI on uvicorn, with the parser in Python or the one in C.

The query is declared, which is what FastAPI is for; the body is read as bytes and the answer returned as a response,
which spares it the models of both.
"""

from fastapi import FastAPI, Request, Response

from benchmarks.peers.asgi import serve_by_uvicorn
from benchmarks.peers.callbacks import JSON, Callbacks, RefusedError
from benchmarks.peers.order import Order
from benchmarks.traffic import PATH


def serve_h11(order: Order) -> None:
    """Serve until a signal."""
    serve_by_uvicorn(_make_app(Callbacks(order.ciphers)), order, "h11")


def serve_httptools(order: Order) -> None:
    """Serve until a signal."""
    serve_by_uvicorn(_make_app(Callbacks(order.ciphers)), order, "httptools")


def _make_app(callbacks: Callbacks) -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.post(PATH)
    async def callback(request: Request, msg_signature: str, timestamp: str, nonce: str) -> Response:
        try:
            answer, opened = callbacks.answer(msg_signature, timestamp, nonce, await request.body())
        except RefusedError as error:
            return Response(status_code=error.status)
        if opened is not None:
            callbacks.start(opened)
        return Response(answer, media_type=JSON)

    return app
