"""rawbot/aio/files/sendfile.py when it goes wrong: clients that stop or go, files that fail, an end from outside."""

import asyncio
import errno
import io
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_endpoint import until
from sending import HEAD, LARGE, WAYS, Door, leave, regions_of, reset, run, staged, stuck

from rawbot.aio.files.sendfile import COPIED, RegionSender
from rawbot.exchange import FileRegion

each_way = pytest.mark.parametrize("way", WAYS)


pytestmark = pytest.mark.usefixtures("nothing_is_left")


# Clients that do not read


@each_way
def test_a_client_that_does_not_read_is_cut_off_and_holds_little(way: str, large: Path):
    async def go():
        loop = asyncio.get_running_loop()
        async with staged(way, regions_of(large), stall=0.3) as stage:
            reader, writer = await stage.connect()
            start = loop.time()
            writer.write(b"\n")
            while not stage.door.lost:
                assert loop.time() - start < 5
                held = stage.door.transport.get_write_buffer_size()
                assert held <= 2 * COPIED + 64 * 1024
                await asyncio.sleep(0.01)
            assert loop.time() - start >= 0.3
            assert stage.door.ends == [False]
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(len(HEAD) + LARGE)
            await leave(writer)

    run(way, go())


@each_way
def test_a_client_that_stops_in_the_middle_is_cut_off(way: str, large: Path):
    async def go():
        async with staged(way, regions_of(large), stall=0.2) as stage:
            reader, writer = await stage.connect()
            writer.write(b"\n")
            await reader.readexactly(LARGE // 2)
            await until(lambda: stage.door.ends == [False])
            await leave(writer)

    run(way, go())


@each_way
def test_a_client_that_does_not_even_read_the_head_is_cut_off(way: str, large: Path):
    async def go():
        async with staged(way, regions_of(large), stall=0.2) as stage:
            _, writer = await stage.connect()
            stage.door.transport.set_write_buffer_limits(high=1 << 24)
            stage.door.transport.write(bytes(1 << 21))
            writer.write(b"\n")
            await until(lambda: stage.door.ends == [False])
            await until(lambda: stage.door.lost)
            await leave(writer)

    run(way, go())


# Clients that go away


@each_way
@pytest.mark.parametrize("read", [0, 1, LARGE // 2])
def test_a_reset_ends_it_without_a_word(way: str, large: Path, read: int):
    async def go():
        async with staged(way, regions_of(large)) as stage:
            reader, writer = await stuck(stage)
            await reader.readexactly(read)
            await reset(writer)
            await until(lambda: stage.door.ends == [False])
            await until(lambda: stage.door.lost)

    run(way, go())


@each_way
def test_a_reset_right_after_the_request_ends_it_too(way: str, large: Path):
    async def go():
        async with staged(way, regions_of(large)) as stage:
            for count in range(1, 6):
                _, writer = await stage.connect()
                writer.write(b"\n")
                for _ in range(count):
                    await asyncio.sleep(0)
                await reset(writer)
            await until(lambda: all(door.lost for door in stage.doors))
            assert all(door.ends in ([], [False]) for door in stage.doors)

    run(way, go())


@pytest.mark.parametrize("paused", [False, True])
def test_a_tls_client_that_goes_without_a_word_stops_it_without_one(large: Path, paused: bool):  # noqa: FBT001
    """While reading is paused, asyncio takes what is written for such a client, and warns in the log of each piece."""

    async def go():
        async with staged("tls", regions_of(large)) as stage:
            reader, writer = await stuck(stage)
            if paused:  # as by a protocol that has enough requests waiting
                stage.door.transport.pause_reading()
            end = socket.socket(fileno=os.dup(writer.transport.get_extra_info("socket").fileno()))
            end.shutdown(socket.SHUT_WR)  # no close_notify
            end.close()
            await asyncio.sleep(0.02)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(len(HEAD) + LARGE)
            await until(lambda: stage.door.ends == [False])
            await leave(writer)

    run("tls", go())


# Files that fail


@each_way
def test_a_file_that_is_cut_short_breaks_the_connection_off(way: str, changing: Path):
    async def go():
        async with staged(way, regions_of(changing)) as stage:
            reader, writer = await stuck(stage)
            os.truncate(changing, LARGE - 100)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(len(HEAD) + LARGE)
            await until(lambda: stage.door.ends == [False])
            await leave(writer)

    run(way, go())


@each_way
@pytest.mark.parametrize("size", [0, 100])
def test_a_file_that_is_too_short_from_the_start_breaks_it_off(way: str, tmp_path: Path, size: int):
    (tmp_path / "short").write_bytes(bytes(size))

    async def go():
        async with staged(way, regions_of(tmp_path / "short", 0, 1000)) as stage:
            reader, writer = await stage.connect()
            writer.write(b"\n")
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(len(HEAD) + 1000)
            await until(lambda: stage.door.ends == [False])
            await leave(writer)

    run(way, go())


class Broken(io.BytesIO):
    """A file on a disk that fails."""

    def read(self, size: int | None = -1, /) -> bytes:  # noqa: ARG002 - a file's shape
        raise OSError(errno.EIO, "Input/output error")


@each_way
def test_a_disk_that_fails_is_logged_in_one_line(way: str, caplog: pytest.LogCaptureFixture):
    async def go():
        async with staged(way, lambda: FileRegion(Broken(), 0, 10)) as stage:
            _, writer = await stage.connect()
            writer.write(b"\n")
            await until(lambda: stage.door.ends == [False])
            await leave(writer)

    run(way, go())
    assert [record.getMessage() for record in caplog.records] == ["a file cannot be read: Input/output error"]
    assert not caplog.records[0].exc_info
    caplog.clear()


def test_a_disk_that_fails_under_the_kernel_is_logged_too(
    large: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    sendfile = os.sendfile

    def fail_later(out: int, file: int, offset: int, count: int) -> int:
        if offset:
            raise OSError(errno.EIO, "Input/output error")
        return sendfile(out, file, offset, min(count, 1000))

    monkeypatch.setattr(os, "sendfile", fail_later)

    async def go():
        async with staged("kernel", regions_of(large)) as stage:
            _, writer = await stage.connect()
            writer.write(b"\n")
            await until(lambda: stage.door.ends == [False])
            await leave(writer)

    run("kernel", go())
    assert [record.getMessage() for record in caplog.records] == ["a file cannot be read: Input/output error"]
    caplog.clear()


class Wrong(io.BytesIO):
    """A file with a mistake in its code, and one that asyncio's own refusals of a file look like."""

    def read(self, size: int | None = -1, /) -> bytes:  # noqa: ARG002 - a file's shape
        raise RuntimeError("wrong")


def closed() -> io.BytesIO:
    file = io.BytesIO()
    file.close()
    return file


@each_way
@pytest.mark.parametrize(("make", "error"), [(closed, ValueError), (Wrong, RuntimeError)])
def test_a_mistake_is_logged_with_its_place(
    way: str, make: Callable[[], io.BytesIO], error: type[Exception], caplog: pytest.LogCaptureFixture
):
    async def go():
        async with staged(way, lambda: FileRegion(make(), 0, 10)) as stage:
            _, writer = await stage.connect()
            writer.write(b"\n")
            await until(lambda: stage.door.ends == [False])
            await leave(writer)

    run(way, go())
    assert [(record.getMessage(), record.exc_info[0]) for record in caplog.records] == [
        ("a file cannot be sent", error)
    ]
    caplog.clear()


# Aborting it


@each_way
@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 10])
def test_it_can_be_stopped_at_any_time(way: str, large: Path, turns: int):
    async def go():
        async with staged(way, regions_of(large)) as stage:
            reader, writer = await stage.connect()
            stage.door.data_received(b"\n")
            for _ in range(turns):
                await asyncio.sleep(0)
            stage.door.sender.abort()
            stage.door.sender.abort()
            await until(lambda: stage.door.lost)
            assert stage.door.ends == [False]
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(len(HEAD) + LARGE)
            await leave(writer)

    run(way, go())


@each_way
def test_after_a_stop_the_descriptor_may_be_used_by_another(way: str, large: Path):
    """With a transport's own `abort`, asyncio goes on watching the number, and whoever gets it next is never heard."""
    content = large.read_bytes()

    async def go():
        async with staged(way, regions_of(large)) as stage:
            for _ in range(5):
                reader, writer = await stuck(stage)
                stage.door.sender.abort()
                await until(lambda: stage.door.lost)
                await leave(writer)
            reader, writer = await stage.connect()
            writer.write(b"\n")
            assert await reader.readexactly(len(HEAD) + LARGE) == HEAD + content
            await leave(writer)

    run(way, go())


@pytest.mark.parametrize("way", [way for way in WAYS if way != "tls"])
def test_the_end_of_the_loop_closes_the_file(way: str, large: Path):
    """`asyncio.run` cancels what is left; nobody calls `abort`."""
    doors: list[Door] = []

    async def go():
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        _, door = await loop.connect_accepted_socket(lambda: Door(regions_of(large), 30.0), left)
        doors.append(door)
        door.data_received(b"\n")
        await asyncio.sleep(0.02)
        assert not door.ends
        right.close()

    run(way, go())
    assert doors[0].region.file.closed


def test_before_the_start_there_is_nothing_to_stop(large: Path):
    async def go():
        region = regions_of(large)()
        transport = asyncio.Transport()
        sender = RegionSender(asyncio.get_running_loop(), transport, region, stall=1, on_end=pytest.fail)
        sender.abort()
        sender.resume_writing()
        region.close()

    asyncio.run(go())
