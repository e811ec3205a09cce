"""`rawbot serve`: one process, several, or one that starts again at changes.

Layer 4, a part of the command line. The supervisor and the reloader are imported where they begin: a process that
serves has neither.
"""

import argparse
import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from rawbot.aio.app import App
from rawbot.aio.listening.listen import Listen, write_address
from rawbot.aio.listening.sockets import Bound, open_sockets, refused
from rawbot.aio.listening.supervised import SUPERVISOR_FD
from rawbot.aio.running import run, say_where
from rawbot.aio.server import Server
from rawbot.aio.settings import Timeouts
from rawbot.errors import ConfigError
from rawbot.serve_options import configure, read_admin, read_listens, worker_arguments
from rawbot.targets import load_app

EXTRA_GRACE = 3.0
"""Seconds for a worker beyond its own time-outs, before it is killed: for handlers that ignore their cancellation, and
for the access log."""


def serve_target(options: argparse.Namespace) -> int:
    """Serve what the options name until it is told to stop; return the exit status."""
    places = read_listens(options)
    admin = read_admin(options)
    if options.workers < 1:
        raise ConfigError("--workers is 1 or more")
    if options.workers > 1 and options.reload:
        raise ConfigError("--reload is for one worker")
    if options.reload:
        return _reload(options, places)
    app = load_app(options.target)
    configure(app, options)
    if options.workers > 1:
        return _supervise(options, app, places, admin)
    supervised = SUPERVISOR_FD in os.environ  # then the supervisor has said where it listens
    on_ready = partial(_release, options.fd or ()) if supervised else None
    run(app, *places, admin=admin, loop=options.loop, paced_gc=not options.no_paced_gc, on_ready=on_ready)
    return 0


def _release(descriptors: Iterable[int], _: Server) -> None:
    """Close what the supervisor handed down, since a worker listens on duplicates.

    A queue in the kernel is there as long as any descriptor of it: connections would wait in that of a worker which
    accepts no more, and be reset at its end.
    """
    for descriptor in descriptors:
        os.close(descriptor)


def longest_end(timeouts: Timeouts) -> float:
    """Return the seconds after which a worker that was asked to end is killed: all that its own end may take.

    Handlers and then long answers have `graceful` each, last frames and then what is being posted `settle`.
    """
    return 2 * timeouts.graceful + 2 * timeouts.settle + timeouts.hooks + EXTRA_GRACE


def _supervise(options: argparse.Namespace, app: App, places: Sequence[Listen], admin: Listen | None) -> int:
    from rawbot.crew.orders import Patience  # noqa: PLC0415 - see the top
    from rawbot.supervisor import supervise  # noqa: PLC0415

    demand_stateless(app)
    if admin is not None:
        raise ConfigError("--admin goes with one worker: of several, each would answer for itself alone")
    with _listening(places) as sockets:
        return supervise(
            lambda descriptors: _worker(options, descriptors),
            workers=options.workers,
            sockets=sockets,
            patience=Patience(graceful=longest_end(app.settings.timeouts)),
        )


def _reload(options: argparse.Namespace, places: Sequence[Listen]) -> int:
    from rawbot.reloader import reload_on_change  # noqa: PLC0415 - see the top

    with _listening(places) as sockets:
        return reload_on_change(
            lambda descriptors: [*_worker(options, descriptors), *_admin(options)],
            options.reload_dir or _folders(options.target),
            sockets=sockets,
        )


def _folders(target: str) -> list[str]:
    """Return where a target's code is looked for: the current folder, and the one that a file lies in."""
    place = Path(target.rpartition(":")[0] or target)
    return [".", str(place.parent)] if place.suffix == ".py" else ["."]


def demand_stateless(app: App) -> None:
    """Raise `ConfigError` for an app that several processes cannot serve, since requests must come to the right one."""
    names = [route.path for route in app.routes if route.endpoint.keeps_state]
    names += [repr(service) for service, _ in app.services if service.keeps_state]
    if names:
        raise ConfigError(
            f"{', '.join(names)} keeps its conversations in one process, and a request may come to any worker; "
            "serve it with --workers 1"
        )


def _worker(options: argparse.Namespace, descriptors: Sequence[int]) -> list[str]:
    sockets = [f"--fd={descriptor}" for descriptor in descriptors]
    return [sys.executable, "-m", "rawbot", "serve", options.target, *sockets, *worker_arguments(options)]


def _admin(options: argparse.Namespace) -> list[str]:
    return ([] if options.admin is None else [f"--admin={options.admin}"]) + ["--metrics"] * options.metrics


@contextlib.contextmanager
def _listening(places: Sequence[Listen]) -> Iterator[list[socket.socket]]:
    """Listen, so that workers can come and go; afterwards the files of Unix sockets are removed."""
    bound: list[Bound] = []
    try:
        for place in places:
            if place.tls is not None:
                place.tls.make_context()  # a mistake shows here, and not in each worker
            opened = asyncio.run(_open(place))
            bound += opened
            for found in opened:
                _listen(found.sock, place)
        yield [found.sock for found in bound]
    finally:
        for found in bound:
            if found.file is not None:
                found.file.unlink()
            found.sock.close()


def _listen(sock: socket.socket, place: Listen) -> None:
    address = write_address(sock.getsockname())
    try:
        sock.listen(place.backlog)
    except OSError as error:  # the same address twice is noticed here, and not as it is bound
        raise refused(address, error) from None
    say_where(f"{'http' if place.tls is None else 'https'}://{address}")


async def _open(place: Listen) -> list[Bound]:
    return await open_sockets(place, asyncio.get_running_loop())
