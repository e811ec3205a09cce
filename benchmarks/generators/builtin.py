"""The built-in generator: blocking sockets behind one selector, in a process of its own that never sleeps under load.

A generator that sleeps till the next answer is woken by the server's `send`, at the server's cost: on a virtual machine
with wrk a message took 92 µs on asyncio, and with this one 65, with half the spread. It takes 12 µs for a request, so
that a server that is much faster than rawbot waits for it. Every answer is kept, and looked at when the clock has
stopped: the status of all, and what else a load has a check for. How connections speak is in `links`.
"""

import contextlib
import selectors
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from time import monotonic, perf_counter, process_time, sleep

from benchmarks.generators.links import LINKS, Answered, Link
from benchmarks.generators.load import LIMIT, SETTLE, SILENCE, Check, Load, Meter, Outcome, Sendable, Way
from benchmarks.measuring import Failed
from benchmarks.processes import STOP, started

HINT = " (--generator wrk for another)"
"""Where there is a choice."""

_READY, _GO, _END = "ready", "go", "end"
_RIGHT = b"HTTP/1.1 200 "


class BuiltIn:
    """Its side that gives the orders."""

    title = f"built-in generator, which never sleeps{HINT}"

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def carry_out(self, load: Load, meter: Meter) -> Outcome:
        """Send all of it. Raises `Failed` when an answer is missing, is wrong, or takes too long."""
        self._tell(load)
        try:
            if (said := self._hear()) != _READY:
                raise Failed(str(said))
            sleep(SETTLE)
            before = meter()
            self._tell(_GO)
            outcome = self._hear()
            if not isinstance(outcome, Outcome):
                raise Failed(str(outcome))
            sleep(SETTLE)
            return outcome._replace(server_ns=meter() - before)
        finally:
            self._tell(_END)

    def _tell(self, what: object) -> None:
        with contextlib.suppress(OSError):  # that it has died is heard
            self._pipe.send(what)

    def _hear(self) -> object:
        try:
            return self._pipe.recv() if self._pipe.poll(LIMIT + 2 * SILENCE) else "the generator is silent"
        except (EOFError, OSError):
            return "the generator has died"


@contextlib.contextmanager
def started_builtin(core: int | None) -> Iterator[BuiltIn]:
    """Start its process, and end it."""
    with started(generate_load, core) as pipe:
        yield BuiltIn(pipe)


def generate_load(pipe: Connection) -> None:
    """Carry out the loads that come through the pipe: say when the connections are open, go when told to.

    Each ends with its outcome, or with a text that tells what went wrong; the connections stay till a word comes.
    """
    with contextlib.suppress(KeyboardInterrupt):  # who gives the orders hears it too
        while (load := pipe.recv()) != STOP:
            try:
                with _open(load) as links:
                    pipe.send(_READY)
                    if pipe.recv() == _GO:
                        pipe.send(carry_out(links, load))
                        pipe.recv()
            except Failed as failure:
                pipe.send(str(failure))
                pipe.recv()


def carry_out(links: Sequence[Link], load: Load) -> Outcome:
    """Send all requests. Raises `Failed`."""
    began, began_cpu = perf_counter(), process_time()
    _exchange(links, load.callbacks)
    elapsed, cpu = perf_counter() - began, process_time() - began_cpu
    answered = _collect(links, load)
    times = sorted(each.took for each in answered)
    size = sum(len(each.answer) for each in answered) / len(answered)
    return Outcome(elapsed, cpu, times[len(times) // 2], times[len(times) * 99 // 100], size)


def ask(
    port: int, callbacks: Sequence[Sendable], connections: int = 8, *, way: Way = "kept", check: Check | None = None
) -> list[bytes]:
    """Send these requests from this process; return their answers in the same order. Raises `Failed`."""
    load = Load(port, callbacks, connections, way, check)
    with _open(load) as links:
        _exchange(links, load.callbacks)
        return [each.answer for each in _collect(links, load)]


@contextlib.contextmanager
def _open(load: Load) -> Iterator[list[Link]]:
    with contextlib.ExitStack() as closing:
        try:
            links = [closing.enter_context(LINKS[load.way](load.port)) for _ in range(load.connections)]
        except OSError as error:
            raise Failed(f"no connection: {error}") from None
        yield links


def _spin(selector: selectors.BaseSelector) -> list[tuple[selectors.SelectorKey, int]]:
    """Return what is ready, without sleeping till then; nothing after a silence."""
    silent_at = monotonic() + SILENCE
    while not (ready := selector.select(0)) and monotonic() < silent_at:
        pass
    return ready


def _exchange(links: Sequence[Link], callbacks: Sequence[Sendable]) -> None:
    """Send all requests, and keep their answers."""
    try:
        _send_all(links, enumerate(callbacks), len(callbacks))
    except OSError as error:
        raise Failed(f"a connection fails: {error}") from None


def _collect(links: Sequence[Link], load: Load) -> list[Answered]:
    """Return the answers in the order of the requests, all of them right."""
    answered = sorted((each for link in links for each in link.answered), key=lambda each: each.number)
    for each in answered:
        if load.way != "websocket" and not each.answer.startswith(_RIGHT):
            line = each.answer.partition(b"\r\n")[0].decode(errors="replace")
            raise Failed(f"request {each.number + 1} is answered with {line!r}")
    if load.check is not None:
        load.check(load.callbacks, [each.answer for each in answered])
    return answered


def _send_all(links: Sequence[Link], supply: Iterator[tuple[int, Sendable]], owed: int) -> None:
    gives_up_at = monotonic() + LIMIT
    with selectors.DefaultSelector() as selector:
        for link, (number, callback) in zip(links, supply, strict=False):
            link.send(number, callback.request)
            selector.register(link.socket, selectors.EVENT_READ, link)
        while owed:
            ready = _spin(selector)
            if not ready or monotonic() > gives_up_at:
                raise Failed(f"{owed} answers are owed after {LIMIT if ready else SILENCE:.0f} s")
            for key, _ in ready:
                owed -= _go_on(key.data, supply, selector)


def _go_on(link: Link, supply: Iterator[tuple[int, Sendable]], selector: selectors.BaseSelector) -> bool:
    """Receive on a connection; send its next request when the answer is whole, and tell whether it is."""
    if not link.receive():
        return False
    if link.once:
        selector.unregister(link.socket)
        link.close()
    following = next(supply, None)
    if following is not None:
        link.send(following[0], following[1].request)
        if link.once:
            selector.register(link.socket, selectors.EVENT_READ, link)
    return True
