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

from rawbot.aio.app import App
from rawbot.aio.collecting import paced_collections
from rawbot.aio.importing import demand_no_import
from rawbot.aio.listening.descriptors import allow_descriptors
from rawbot.aio.listening.listen import HOST, PORT, Listen
from rawbot.aio.listening.supervised import watch_supervisor
from rawbot.aio.listening.systemd import READY, STOPPING, notify, reloading
from rawbot.aio.server import Server, serve
from rawbot.aio.watching.admin import make_admin
from rawbot.aio.watching.metrics import Metrics
from rawbot.aio.watching.quiet import Quiet
from rawbot.errors import ConfigError, MissingExtraError

log = logging.getLogger("rawbot")

Loop = Literal["asyncio", "uvloop", "auto"]
"""Which event loop: asyncio's, uvloop's (extra `uvloop`), or uvloop's where it is installed."""

OnReady = Callable[[Server], None]

SIGNAL_TURNS = 4
"""Turns of the loop until a signal is heard: one for its byte in the loop's own pipe, one for our handler, and as many
again, since the loops' orders differ. A start-up hook that does not wait leaves none before."""

MAKE_ROOM_EVERY = 0.5
"""Seconds: less than the second for which an accept loop that has failed rests, more than its reports in a row take."""


def run(
    app: App,
    *listen: Listen,
    host: str = HOST,
    port: int = PORT,
    admin: Listen | None = None,
    loop: Loop = "asyncio",
    paced_gc: bool = True,
    on_ready: OnReady | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then stop gracefully. SIGHUP reloads certificates while it serves.

    A second signal stops at once, and so does the first while it still starts, which cancels the start-up hook that
    runs; shutdown hooks get their `timeouts.hooks` seconds together all the same. The process is allowed as many
    descriptors as its connections need, as far as the system lets it.

    Where to listen is given as to `serve`. At `admin`, an address of its own, `/healthz` and `/readyz` answer, and
    `/metrics` if the app has a `Metrics` among its observers. With `paced_gc`, full garbage collections take about a
    thousandth of the time (see `paced_collections`). `on_ready(server)` is called once the sockets are served; without
    it a line on stderr says where. Raises `ConfigError` for what cannot be listened on, and when it is called within
    the import of a `rawbot serve` target.
    """
    demand_no_import()
    places = listen or (Listen(host=host, port=port),)
    allow_descriptors(app.settings.capacity.max_connections, places)
    with contextlib.suppress(asyncio.CancelledError), asyncio.Runner(loop_factory=_loop_factory(loop)) as runner:
        runner.run(_main(app, places, admin, on_ready or announce, paced_gc=paced_gc))


async def _main(
    app: App, listen: tuple[Listen, ...], admin: Listen | None, on_ready: OnReady, *, paced_gc: bool
) -> None:
    loop = asyncio.get_running_loop()
    program = _Program(loop)
    async with contextlib.AsyncExitStack() as stack:
        stopped = stack.enter_context(stop_signals(starting=lambda: program.server is None))
        stack.enter_context(_on_signal("SIGHUP", program.reload))
        admins = []
        if admin is not None:
            watching = serve(make_admin(app, metrics=_metrics_of(app)), admin)
            admins = (await stack.enter_async_context(watching)).urls
        server = await stack.enter_async_context(serve(app, *listen))
        for _ in range(SIGNAL_TURNS):
            await asyncio.sleep(0)
        if stopped.is_set():  # and the start-up hook that was cancelled has gone on
            return
        program.server = server
        stack.enter_context(program.survival())
        stack.callback(watch_supervisor(loop, stopped.set))
        if paced_gc:
            stack.enter_context(paced_collections(loop))
        on_ready(server)
        for url in admins:
            log.info("health and metrics are shown on %s", url)
        notify(READY)
        await stopped.wait()
        program.stopping = True
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
def stop_signals(*, starting: Callable[[], bool] = lambda: False) -> Iterator[asyncio.Event]:
    """Set the event at the first SIGINT or SIGTERM, and cancel the current task at the second.

    While it is `starting`, there is nothing to end gracefully, and the task is cancelled at the first.
    """
    task = asyncio.current_task()
    stopped = asyncio.Event()

    def stop() -> None:
        if task is not None and (stopped.is_set() or starting()):
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


class _Program:
    """What signals and the loop's own reports do to a server, once there is one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.server: Server | None = None
        self.stopping = False
        self._loop = loop
        self._room = Quiet(burst=1, interval=MAKE_ROOM_EVERY)
        self._told = Quiet()

    def reload(self) -> None:
        """Do what SIGHUP asks for; nothing before it serves and while it drains, since nobody would notice."""
        if self.server is not None and not self.stopping:
            notify(reloading())
            self.server.reload()
            notify(READY)

    @contextlib.contextmanager
    def survival(self) -> Iterator[None]:
        """Let the loop report what nobody caught, and go on; make room when descriptors run out."""
        self._loop.set_exception_handler(lambda _, context: self._report(context))
        try:
            yield
        finally:
            self._loop.set_exception_handler(None)

    def _report(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, OSError) and "socket" in context and "accept" in str(context.get("message")):
            self._make_room(error)
        else:
            log.error("%s", context.get("message"), exc_info=error)

    def _make_room(self, error: OSError) -> None:
        now = self._loop.time()
        if self.server is None or not self._room.admit(now):
            return
        closed = self.server.close_idle()
        if held_back := self._told.summary(now):
            log.error("connections could not be accepted %d more times", held_back)
        if self._told.admit(now):
            reason = error.strerror or error
            log.error("cannot accept connections: %s; %d idle connections were closed to make room", reason, closed)


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
