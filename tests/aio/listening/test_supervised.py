"""rawbot/aio/listening/supervised.py: a worker notices that its supervisor is gone, once, and only then."""

import asyncio
import os
import socket
from collections.abc import Callable, Iterator

import pytest

from rawbot.aio.listening.supervised import SUPERVISOR_FD, watch_supervisor
from rawbot.errors import ConfigError


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Hand this process a pipe as a supervisor does; give what lets the supervisor die."""
    lifeline, life = os.pipe()
    os.set_inheritable(lifeline, True)
    monkeypatch.setenv(SUPERVISOR_FD, str(lifeline))
    ends = [life]

    def die() -> None:
        while ends:
            os.close(ends.pop())

    yield die
    die()


async def some_turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_the_end_of_the_supervisor_is_noticed_once(supervisor: Callable[[], None]):
    async def run() -> None:
        gone = asyncio.Event()
        calls = []
        watch_supervisor(asyncio.get_running_loop(), lambda: [gone.set(), calls.append(1)])
        await some_turns()
        assert calls == []
        supervisor()
        async with asyncio.timeout(5):
            await gone.wait()
        await some_turns()
        assert calls == [1]

    asyncio.run(run())


def test_children_inherit_neither_the_variable_nor_the_pipe(supervisor: Callable[[], None]):
    descriptor = int(os.environ[SUPERVISOR_FD])

    async def run() -> None:
        end = watch_supervisor(asyncio.get_running_loop(), supervisor)
        assert SUPERVISOR_FD not in os.environ
        assert not os.get_inheritable(descriptor)
        end()

    asyncio.run(run())


def test_a_watch_that_was_ended_calls_nobody_and_leaves_nothing_open(supervisor: Callable[[], None]):
    descriptor = int(os.environ[SUPERVISOR_FD])

    async def run() -> None:
        calls = []
        end = watch_supervisor(asyncio.get_running_loop(), lambda: calls.append(1))
        end()
        end()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
        supervisor()
        await some_turns()
        assert calls == []

    asyncio.run(run())


def test_the_watch_may_be_ended_after_the_supervisor(supervisor: Callable[[], None]):
    async def run() -> None:
        gone = asyncio.Event()
        end = watch_supervisor(asyncio.get_running_loop(), gone.set)
        supervisor()
        async with asyncio.timeout(5):
            await gone.wait()
        end()

    asyncio.run(run())


def test_without_a_supervisor_nothing_is_watched(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(SUPERVISOR_FD, raising=False)

    async def run() -> None:
        watch_supervisor(asyncio.get_running_loop(), lambda: None)()

    asyncio.run(run())


@pytest.mark.parametrize("value", ["", "x", "-1", "9999", str(2**70)])
def test_a_variable_that_names_no_pipe_is_refused(value: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(SUPERVISOR_FD, value)

    async def run() -> None:
        with pytest.raises(ConfigError, match="names no pipe"):
            watch_supervisor(asyncio.get_running_loop(), lambda: None)

    asyncio.run(run())


def test_a_descriptor_that_is_something_else_is_refused_and_left_alone(monkeypatch: pytest.MonkeyPatch):
    with socket.socket() as sock:
        monkeypatch.setenv(SUPERVISOR_FD, str(sock.fileno()))

        async def run() -> None:
            with pytest.raises(ConfigError, match="names no pipe"):
                watch_supervisor(asyncio.get_running_loop(), lambda: None)

        asyncio.run(run())
        os.fstat(sock.fileno())
