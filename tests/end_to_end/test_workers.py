"""`rawbot serve --workers` and `--reload` as processes: nothing is lost while workers come and go."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import end, start

PIDS = """
    import os
    import rawbot

    class Pid(rawbot.Endpoint):
        needs_bot = False

        def receive(self, request, now):
            return rawbot.Answer(rawbot.Response(200, b"%d " % os.getpid() + VERSION))

    VERSION = b"one"
    app = rawbot.App(timeouts=rawbot.Timeouts(linger=0.2))
    app.add("/", Pid())
"""
GET = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
WITHIN = 20.0


def ask(port: int) -> tuple[int, str]:
    """Return the process that answered, and its version."""
    with socket.create_connection(("127.0.0.1", port), timeout=WITHIN) as client:
        client.sendall(GET)
        said = b""
        while data := client.recv(4096):
            said += data
    status, _, body = said.partition(b"\r\n\r\n")
    assert status.startswith(b"HTTP/1.1 200 ")
    pid, version = body.decode().split()
    return int(pid), version


@contextlib.contextmanager
def serving(target: Path, *options: str, **environ: str) -> Iterator[tuple[object, int]]:
    """Serve on a free port; yield the process and the port once it answers. It must end with status 0."""
    process = start("serve", target, "--port", "0", *options, **environ)
    try:
        line = process.stderr.readline()
        port = int(line.rpartition(":")[2])
        ask(port)
        yield process, port
        ended = end(process, signal.SIGTERM)
        assert ended.status == 0, ended.err
        assert "Traceback" not in ended.err
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "pids.py"
    path.write_text(textwrap.dedent(PIDS))
    return path


def ask_until(port: int, condition: Callable[[list[tuple[int, str]]], object]) -> list[tuple[int, str]]:
    """Ask, one request after the other, until the answers fulfil the condition; each must be answered."""
    answers: list[tuple[int, str]] = []
    until = time.monotonic() + WITHIN
    while not condition(answers):
        assert time.monotonic() < until
        answers.append(ask(port))
    return answers


def wait_until_gone(pid: int) -> None:
    until = time.monotonic() + WITHIN
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < until:
            os.kill(pid, 0)
            time.sleep(0.005)


def test_a_rolling_restart_and_a_killed_worker_lose_no_request(target: Path):
    with serving(target, "--workers", "2") as (process, port):
        first = {pid for pid, _ in ask_until(port, lambda answers: len({pid for pid, _ in answers}) == 2)}
        process.send_signal(signal.SIGHUP)
        answers = ask_until(port, lambda answers: len({pid for pid, _ in answers[-50:]} - first) == 2)
        second = {pid for pid, _ in answers} - first
        os.kill(min(second), signal.SIGKILL)
        wait_until_gone(min(second))  # whoever is served by it while it dies cannot be helped
        ask_until(port, lambda answers: len({pid for pid, _ in answers} - second) == 1)


SLOW = """
    import asyncio
    import fake_endpoint
    import rawbot

    bot = rawbot.Bot()

    @bot.on_message
    async def handler(event, reply):
        await asyncio.sleep(2)

    def answer(request, now):
        return rawbot.Answer(rawbot.Response(200, b"1 one"), fake_endpoint.make_event())

    app = rawbot.App(bot, timeouts=rawbot.Timeouts(settle=0.1))
    app.add("/", fake_endpoint.FakeEndpoint(answer))
"""


def test_while_the_last_workers_drain_nobody_waits_for_them_in_vain(target: Path):
    target.write_text(textwrap.dedent(SLOW))
    tests = Path(__file__).parents[1]
    with serving(target, "--workers", "2", PYTHONPATH=f"{tests.parent}{os.pathsep}{tests}") as (process, port):
        process.send_signal(signal.SIGTERM)
        until = time.monotonic() + WITHIN
        while not is_refused(port):
            assert time.monotonic() < until
            time.sleep(0.01)
        with pytest.raises(subprocess.TimeoutExpired):  # refused by the workers, and not for want of them
            process.wait(0.3)
        process.wait(WITHIN)


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=WITHIN).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_channel_that_keeps_state_is_not_served_by_several_workers():
    ended = end(start("serve", "rawbot.demo:app", "--workers", "2", RAWBOT_WECOM_TOKEN="t" * 20,
                      RAWBOT_WECOM_ENCODING_AES_KEY="A" * 43))  # fmt: skip
    assert ended.status == 2
    assert ended.err.count("\n") == 1
    assert "/callback/command keeps its conversations in one process" in ended.err


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--workers", "0"], "--workers is 1 or more"),
        (["--workers", "2", "--reload"], "--reload is for one worker"),
        (["--workers", "2", "--admin", "0"], "--admin goes with one worker"),
        (["--workers", "2", "--ssl-certfile", "nowhere.pem"], "cannot read nowhere.pem"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(target: Path, options: list[str], what: str):
    ended = end(start("serve", target, *options))
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert what in ended.err


def test_a_changed_file_is_served_anew_on_the_same_port_and_a_broken_one_is_waited_out(target: Path):
    with serving(target, "--reload", "--reload-dir", str(target.parent)) as (process, port):
        old, _ = ask(port)
        target.write_text(target.read_text().replace("one", "two"))
        answers = ask_until(port, lambda answers: answers and answers[-1][1] == "two")
        assert answers[-1][0] != old
        target.write_text("app = (")
        while not re.search("SyntaxError", line := process.stderr.readline()):
            assert line, "it ended"
        target.write_text(textwrap.dedent(PIDS).replace("one", "three"))
        ask_until(port, lambda answers: answers and answers[-1][1] == "three")
