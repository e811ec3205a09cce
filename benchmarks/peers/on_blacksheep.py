"""BlackSheep, a framework in Cython, on uvicorn with the parser in C."""

from blacksheep import Application, Content, Request, Response

from benchmarks.peers.asgi import serve_by_uvicorn
from benchmarks.peers.callbacks import JSON, Callbacks, RefusedError, split_query
from benchmarks.peers.order import Order
from benchmarks.traffic import PATH

_JSON = JSON.encode()


def serve(order: Order) -> None:
    """Serve until a signal."""
    serve_by_uvicorn(_make_app(Callbacks(order.ciphers)), order, "httptools")


def _make_app(callbacks: Callbacks) -> Application:
    app = Application()

    @app.router.post(PATH)
    async def callback(request: Request) -> Response:
        query = split_query((request.url.query or b"").decode())
        try:
            answer, opened = callbacks.answer(
                query.get("msg_signature", ""),
                query.get("timestamp", ""),
                query.get("nonce", ""),
                await request.read() or b"",
            )
        except RefusedError as error:
            return Response(error.status)
        if opened is not None:
            callbacks.start(opened)
        return Response(200, content=Content(_JSON, answer))

    return app
