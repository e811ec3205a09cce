"""rawbot/aio/running.py: the program around a server, with real signals and a service manager's socket."""

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import uvloop
from fake_endpoint import (
    GET,
    FakeEndpoint,
    FakeReply,
    connect,
    hang_up,
    make_app,
    make_event,
    read_response,
    talk,
    until,
)
from proxy_headers import LOCAL

from rawbot.aio.app import App
from rawbot.aio.importing import importing
from rawbot.aio.listening.descriptors import SPARE
from rawbot.aio.listening.listen import Listen
from rawbot.aio.listening.systemd import NOTIFY_SOCKET
from rawbot.aio.running import run, stop_signals
from rawbot.aio.server import Server
from rawbot.aio.settings import Capacity, Timeouts
from rawbot.aio.watching.access_log import AccessLog
from rawbot.aio.watching.metrics import Metrics
from rawbot.aio.watching.observer import Observer
from rawbot.bot import Bot
from rawbot.errors import ConfigError, MissingExtraError
from rawbot.exchange import Answer, Request, Response

TESTS = Path(__file__).parent.parent
LAST = GET[:-2] + b"Connection: close\r\n\r\n"
POST = LAST.replace(b"GET", b"POST")


def make_bubble(bot: Bot) -> tuple[FakeEndpoint, FakeReply]:
    """Make an endpoint that starts a handler which never ends by itself."""
    event = make_event()

    @bot.on_message
    async def handler(*_: object):
        await asyncio.Event().wait()

    def answer(request: Request, now: float):  # noqa: ARG001 - an endpoint's shape
        return Answer(Response(200), event)

    return FakeEndpoint(answer), event.reply


def run_until_stopped(
    app: App, course: Callable[[Server], Awaitable[None]], *listen: Listen, **options: object
) -> None:
    """Run the app as a program does; once it is ready `course(server)` runs, then SIGTERM ends it."""
    tasks = []

    async def follow(server: Server):
        try:
            await course(server)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    def on_ready(server: Server):
        tasks.append(asyncio.ensure_future(follow(server)))

    run(app, *(listen or (Listen(port=0),)), on_ready=on_ready, **options)
    tasks[0].result()


# Signals


def test_signals_are_ours_only_as_long_as_they_are_asked_for():
    async def go():
        before = signal.getsignal(signal.SIGTERM)
        with stop_signals() as stopped:
            os.kill(os.getpid(), signal.SIGTERM)
            await stopped.wait()
            assert signal.getsignal(signal.SIGTERM) is not before
        assert signal.getsignal(signal.SIGTERM) is before

    asyncio.run(go())


def test_a_second_signal_stops_run_at_once_and_the_usual_handlers_are_put_back(caplog: pytest.LogCaptureFixture):
    bot = Bot()
    endpoint, reply = make_bubble(bot)
    before = signal.getsignal(signal.SIGTERM)

    def ready(server: Server):
        tasks.append(asyncio.ensure_future(interrupt(server)))

    async def interrupt(server: Server):
        await talk(server.port, POST, eof=True)
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: endpoint.drained)
        assert not reply.ended
        times.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    tasks, times = [], []
    with caplog.at_level(logging.ERROR):
        run(make_app(endpoint, bot=bot, timeouts=Timeouts(graceful=60)), port=0, on_ready=ready)
    assert tasks[0].exception() is None
    assert time.monotonic() - times[0] < 1
    assert reply.ended == "shutdown"
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert caplog.records == []


PROGRAM = """
    import asyncio
    from fake_endpoint import FakeEndpoint, FakeReply, make_app, make_event
    from rawbot.aio.running import run
    from rawbot.aio.settings import Capacity, Timeouts
    from rawbot.bot import Bot
    from rawbot.exchange import Answer, Response

    bot, event = Bot(), make_event()

    @bot.on_message
    async def handler(event, reply):
        await asyncio.Event().wait()

    endpoint = FakeEndpoint(lambda *_: Answer(Response(200), event))
    run(make_app(endpoint, bot=bot, timeouts=Timeouts(graceful=0.1), capacity=Capacity(max_connections=9)), port=0)
    print(event.reply.ended, endpoint.drained)
"""


def start(program: str) -> "subprocess.Popen[str]":
    """Run a program's text, which may use the tests' own modules."""
    path = os.pathsep.join((str(TESTS), str(TESTS.parent)))
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_program_says_where_it_listens_and_a_signal_ends_it_gracefully(number: signal.Signals):
    program = start(PROGRAM)
    try:
        line = program.stderr.readline()
        assert line.startswith("rawbot listens on http://127.0.0.1:")
        with socket.create_connection(("127.0.0.1", int(line.rpartition(":")[2]))) as client:
            client.sendall(GET)
            assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")
            program.send_signal(number)
            assert program.communicate(timeout=5) == ("shutdown True\n", "")
        assert program.returncode == 0
    finally:
        program.kill()
        program.communicate()


def test_sighup_reads_certificates_again_and_opens_the_access_log_anew(tmp_path: Path):
    path = tmp_path / "access.log"
    app = make_app(FakeEndpoint(), observers=[AccessLog(path)])

    async def course(server: Server):
        await talk(server.port, LAST)
        await until(lambda: path.read_text().count("\n") == 1)
        path.rename(tmp_path / "access.log.1")
        os.kill(os.getpid(), signal.SIGHUP)
        await until(path.exists)
        await talk(server.port, LAST)

    before = signal.getsignal(signal.SIGHUP)
    run_until_stopped(app, course)
    assert path.read_text().count("\n") == 1  # written at the latest as the app ends
    assert signal.getsignal(signal.SIGHUP) is before


def test_a_certificate_that_cannot_be_read_any_more_is_logged_and_the_old_one_stays(caplog: pytest.LogCaptureFixture):
    async def course(server: Server):
        def fail(_: object):
            raise ConfigError("TLS: no certificate in there.pem")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("rawbot.aio.server.reload_certificates", fail)
            server.reload()

    run_until_stopped(make_app(FakeEndpoint()), course)
    assert "the certificates are left as they were: TLS: no certificate in there.pem" in caplog.text


@contextlib.contextmanager
def hanging_up() -> Iterator[list[int]]:
    """Stand at SIGHUP for the default action, which would end the process: the list tells when it were taken."""
    taken: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, _: taken.append(number))
    try:
        yield taken
    finally:
        signal.signal(signal.SIGHUP, before)


class Reopened(Observer):
    """Counts how often it was asked to open its files again."""

    def __init__(self) -> None:
        self.times = 0

    def reopen(self) -> None:
        self.times += 1


def test_sighup_ends_nothing_while_it_starts_or_drains_and_does_nothing_there():
    bot, watch = Bot(), Reopened()
    endpoint, _ = make_bubble(bot)
    app = make_app(endpoint, bot=bot, observers=[watch], timeouts=Timeouts(graceful=0.2))

    @app.on_startup
    async def hook():
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.01)

    async def course(server: Server):
        assert watch.times == 0
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: watch.times == 1)
        await talk(server.port, POST, eof=True)
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: endpoint.drained)
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.01)

    with hanging_up() as taken:
        run_until_stopped(app, course)
    assert taken == []
    assert watch.times == 1


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Return the socket on which a service manager hears this process."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.setblocking(False)
        monkeypatch.setenv(NOTIFY_SOCKET, path)
        yield sock


PROXIED = Listen(port=0, proxy_protocol=True, forwarded_allow_ips="*")


async def sleeps() -> None:
    await asyncio.sleep(60)


async def sleeps_on() -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(60)


def does_not_wait() -> None:
    pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("goes_on", [sleeps, sleeps_on, does_not_wait])
@pytest.mark.parametrize(
    ("place", "loop"),
    [(Listen(port=0), "asyncio"), (PROXIED, "asyncio"), (Listen(port=0), "uvloop"), (PROXIED, "uvloop")],
)
def test_a_signal_while_it_starts_stops_it_at_once_and_nobody_hears_that_it_is_ready(
    number: signal.Signals, goes_on: Callable[[], object], place: Listen, loop: str, manager: socket.socket
):
    app = make_app(FakeEndpoint())
    done: list[str] = []

    @app.on_startup
    def hook():
        os.kill(os.getpid(), number)
        return goes_on()

    @app.on_shutdown
    def undo():
        done.append("undone")

    started = time.monotonic()
    # a second signal is sent should it be served nevertheless
    run(app, place, loop=loop, on_ready=lambda _: (done.append("ready"), os.kill(os.getpid(), number)))
    with pytest.raises(BlockingIOError):
        manager.recv(100)
    assert done == ["undone"]
    assert time.monotonic() - started < 5
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# What a service manager hears


def test_a_service_manager_hears_when_it_is_ready_reloads_and_stops(manager: socket.socket):
    heard: list[str] = []

    async def hear(word: str):
        async with asyncio.timeout(5):
            while word not in "".join(heard):
                heard.append((await asyncio.get_running_loop().sock_recv(manager, 4096)).decode())

    async def course(_: Server):
        await hear("READY=1")
        os.kill(os.getpid(), signal.SIGHUP)
        await hear("RELOADING=1\nMONOTONIC_USEC=")
        heard.clear()
        await hear("READY=1")

    run_until_stopped(make_app(FakeEndpoint()), course)
    assert manager.recv(4096) == b"STOPPING=1"


# The admin address


def test_health_and_metrics_have_an_address_of_their_own_which_outlives_the_drain(tmp_path: Path):
    admin = str(tmp_path / "admin")
    bot = Bot()
    endpoint, _ = make_bubble(bot)
    app = make_app(endpoint, bot=bot, observers=[Metrics()], timeouts=Timeouts(graceful=0.5))
    told: list[bytes] = []

    async def ask(path: bytes) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_unix_connection(admin)
        writer.write(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
        status, _, body = await read_response(reader)
        await hang_up(writer)
        return status, body

    async def course(server: Server):
        assert await ask(b"/healthz") == (200, b"alive\n")
        assert await ask(b"/readyz") == (200, b"ready\n")
        await talk(server.port, POST)
        _, body = await ask(b"/metrics")
        assert b'rawbot_requests_total{method="POST",route="/bot",status="200"} 1.0' in body
        server.drain()
        status, body = await ask(b"/readyz")
        told.append(b"%d %b" % (status, body))

    run_until_stopped(app, course, admin=Listen(uds=admin))
    assert told == [b"503 draining\n"]
    assert not Path(admin).exists()


# The loop


def test_what_nobody_caught_is_logged_and_the_server_goes_on(caplog: pytest.LogCaptureFixture):
    async def course(server: Server):
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        assert b"200 OK" in await talk(server.port, LAST)

    run_until_stopped(make_app(FakeEndpoint(), capacity=Capacity(max_connections=9)), course)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "ZeroDivisionError" in caplog.text


def test_when_descriptors_run_out_idle_connections_give_way(caplog: pytest.LogCaptureFixture):
    async def course(server: Server):
        reader, writer = await connect(server.port)
        writer.write(GET)
        await read_response(reader)
        asyncio.get_running_loop().call_exception_handler(
            {  # as asyncio's selector_events reports it
                "message": "socket.accept() out of system resource",
                "exception": OSError(24, "Too many open files"),
                "socket": object(),
            }
        )
        assert await reader.read() == b""
        await hang_up(writer)
        assert b"200 OK" in await talk(server.port, LAST)

    run_until_stopped(make_app(FakeEndpoint()), course)
    assert "Too many open files; 1 idle connections were closed to make room" in caplog.text


def test_that_descriptors_run_out_is_not_told_each_time(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    """As if each report came another second, and minutes went by after thirty."""
    ticks = iter([float(second) for second in range(30)] + [100.0])

    async def course(_: Server):
        loop = asyncio.get_running_loop()
        error = OSError(24, "Too many open files")
        for tick in ticks:
            with monkeypatch.context() as patch:
                patch.setattr(loop, "time", lambda tick=tick: tick)
                for _ in range(64):
                    loop.call_exception_handler({"message": "socket.accept()", "exception": error, "socket": None})

    run_until_stopped(make_app(FakeEndpoint(), capacity=Capacity(max_connections=9)), course)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 12
    assert said[10] == "connections could not be accepted 20 more times"


SHORT = """
    import resource
    from fake_endpoint import FakeEndpoint, make_app
    from rawbot.aio.listening.listen import Listen
    from rawbot.aio.running import run

    resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))
    run(make_app(FakeEndpoint()), Listen(port=0, {options}))
"""


@pytest.mark.parametrize(
    ("options", "first"), [("", b""), ("proxy_protocol=True, forwarded_allow_ips='*'", LOCAL)], ids=["plain", "proxied"]
)
def test_with_too_few_descriptors_all_are_served_in_turn_and_the_log_stays_short(options: str, first: bytes):
    program = start(SHORT.format(options=options))
    try:
        lines = [program.stderr.readline(), program.stderr.readline()]
        assert lines[0].startswith("this process may open 48 files, and 10000 connections may need ")
        with contextlib.ExitStack() as stack:
            address = ("127.0.0.1", int(lines[1].rpartition(":")[2]))
            clients = [stack.enter_context(socket.create_connection(address, timeout=20)) for _ in range(60)]
            for client in clients:
                client.sendall(first + GET)
            for client in clients:
                assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")
        program.send_signal(signal.SIGTERM)
        out, err = program.communicate(timeout=20)
        assert (out, program.returncode) == ("", 0)
        told = err.splitlines()
        assert 1 <= len(told) <= 10
        assert all("Too many open files" in line and "closed to make room" in line for line in told)
    finally:
        program.kill()
        program.communicate()


def test_a_program_is_allowed_as_many_descriptors_as_its_connections_need():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = []

    async def course(_: Server):
        allowed.append(resource.getrlimit(resource.RLIMIT_NOFILE))

    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        run_until_stopped(make_app(FakeEndpoint(), capacity=Capacity(max_connections=300)), course)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert allowed == [(300 + SPARE, hard)]


@pytest.mark.parametrize("loop", ["uvloop", "auto"])
def test_uvloop_serves_as_well(loop: str):
    async def course(server: Server):
        assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
        assert b"200 OK" in await talk(server.port, LAST)

    run_until_stopped(make_app(FakeEndpoint()), course, loop=loop)


def test_without_uvloop_only_asking_for_it_by_name_is_a_fault(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rawbot\[uvloop\]'"):
        run(make_app(FakeEndpoint()), loop="uvloop")

    async def course(server: Server):
        assert b"200 OK" in await talk(server.port, LAST)

    run_until_stopped(make_app(FakeEndpoint()), course, loop="auto")


def test_a_loop_that_there_is_none_of_is_refused():
    with pytest.raises(ConfigError, match="asyncio, uvloop, auto"):
        run(make_app(FakeEndpoint()), loop="trio")


def test_a_module_that_is_imported_to_be_served_must_not_serve_by_itself():
    with importing("bot.py"), pytest.raises(ConfigError, match=r"bot\.py calls rawbot\.run while it is imported"):
        run(make_app(FakeEndpoint()), port=0)
