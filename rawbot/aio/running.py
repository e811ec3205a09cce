"""A program of its own around `serve`: the loop, signals, and what a service manager wants to hear.

Engine room. Nothing here is touched by those who embed rawbot in a loop of theirs.
"""

import asyncio
import contextlib
import importlib
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Literal, cast, get_args

from rawbot.aio.admin import make_admin
from rawbot.aio.app import App
from rawbot.aio.importing import demand_no_import
from rawbot.aio.listen import HOST, PORT, Listen
from rawbot.aio.metrics import Metrics
from rawbot.aio.server import Server, serve
from rawbot.aio.supervised import watch_supervisor
from rawbot.aio.systemd import READY, STOPPING, notify, reloading
from rawbot.errors import ConfigError, MissingExtraError

log = logging.getLogger("rawbot")

Loop = Literal["asyncio", "uvloop", "auto"]
"""Which event loop: asyncio's, uvloop's (extra `uvloop`), or uvloop's where it is installed."""

OnReady = Callable[[Server], None]


def run(
    app: App,
    *listen: Listen,
    host: str = HOST,
    port: int = PORT,
    admin: Listen | None = None,
    loop: Loop = "asyncio",
    on_ready: OnReady | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then stop gracefully; a second signal stops at once. SIGHUP reloads certificates.

    Where to listen is given as to `serve`. At `admin`, an address of its own, `/healthz` and `/readyz` answer, and
    `/metrics` if the app has a `Metrics` among its observers. `on_ready(server)` is called once the sockets are
    served; without it a line on stderr says where. Raises `ConfigError` for what cannot be listened on, and when it
    is called within the import of a `rawbot serve` target.
    """
    demand_no_import()
    with contextlib.suppress(asyncio.CancelledError), asyncio.Runner(loop_factory=_loop_factory(loop)) as runner:
        runner.run(_main(app, listen or (Listen(host=host, port=port),), admin, on_ready or announce))


async def _main(app: App, listen: tuple[Listen, ...], admin: Listen | None, on_ready: OnReady) -> None:
    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        stopped = stack.enter_context(stop_signals())
        if admin is not None:
            await stack.enter_async_context(serve(make_admin(app, metrics=_metrics_of(app)), admin))
        server = await stack.enter_async_context(serve(app, *listen))
        stack.enter_context(_survival(loop, server))
        stack.enter_context(_on_signal("SIGHUP", lambda: _reload(server)))
        stack.callback(watch_supervisor(loop, stopped.set))
        on_ready(server)
        notify(READY)
        await stopped.wait()
        notify(STOPPING)
        if server.unfinished:
            log.info("stopping: %d answers are under way; the same again stops at once", server.unfinished)


def announce(server: Server) -> None:
    """Say where it listens."""
    for url in server.urls:
        say_where(url)


def say_where(url: str) -> None:
    """Say on stderr that somebody listens there: a program's first line."""
    print(f"rawbot listens on {url}", file=sys.stderr, flush=True)  # noqa: T201


@contextlib.contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """Set the event at the first SIGINT or SIGTERM, and cancel the current task at the second."""
    task = asyncio.current_task()
    stopped = asyncio.Event()

    def stop() -> None:
        if stopped.is_set() and task is not None:
            task.cancel()
        stopped.set()

    with _on_signal("SIGINT", stop), _on_signal("SIGTERM", stop):
        yield stopped


@contextlib.contextmanager
def _on_signal(name: str, call: Callable[[], None]) -> Iterator[None]:
    """Call it within the loop at this signal, then put the old handler back.

    Nothing happens where the system has no such signal, and off the main thread, where Python gives none.
    """
    number = getattr(signal, name, None)
    if number is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = signal.getsignal(number)
    try:
        loop.add_signal_handler(number, call)
    except NotImplementedError:  # Windows
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(call))
    try:
        yield
    finally:
        with contextlib.suppress(NotImplementedError):
            loop.remove_signal_handler(number)
        signal.signal(number, before if before is not None else signal.SIG_DFL)


@contextlib.contextmanager
def _survival(loop: asyncio.AbstractEventLoop, server: Server) -> Iterator[None]:
    """Let the loop report what nobody caught, and go on; make room when descriptors run out."""

    def report(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        log.error("%s", context.get("message"), exc_info=error)
        if isinstance(error, OSError) and "socket" in context and "accept" in str(context.get("message")):
            log.error("%d idle connections were closed to make room", server.close_idle())

    loop.set_exception_handler(report)
    try:
        yield
    finally:
        loop.set_exception_handler(None)


def _reload(server: Server) -> None:
    notify(reloading())
    server.reload()
    notify(READY)


def _metrics_of(app: App) -> Metrics | None:
    return next((observer for observer in app.settings.observers if isinstance(observer, Metrics)), None)


def _loop_factory(name: Loop) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if name not in get_args(Loop):
        raise ConfigError(f"loop is one of {', '.join(get_args(Loop))}, not {name!r}")
    if name == "asyncio":
        return None
    try:
        module = importlib.import_module("uvloop")
    except ImportError:
        if name == "auto":
            return None
        raise MissingExtraError("uvloop", "the event loop uvloop") from None
    return cast("Callable[[], asyncio.AbstractEventLoop]", module.new_event_loop)
