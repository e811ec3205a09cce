"""rawbot/aio/asgi/app.py: files as answers, in slices; called by hand, and under a real uvicorn."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from asgi_hosting import HTTP, WHOLE, Hosting, hosted
from descriptors import open_descriptors
from fake_endpoint import FakeEndpoint, connect, hang_up, make_app, read_response, until
from sending import BUFFER, LARGE, leave, pattern, regions_of, reset

from rawbot.aio.app import App
from rawbot.aio.asgi.app import ASGIApp, Message
from rawbot.aio.files.endpoint import Files
from rawbot.aio.files.sendfile import COPIED
from rawbot.aio.settings import Timeouts
from rawbot.errors import StateError
from rawbot.exchange import Answer, Exchange, FileRegion, Pending, Request, Response

BRIEF = 0.1
SLACK = 1.0
"""Seconds that a busy machine may be late."""
KIND = b"image/png"
HUGE = 64 * 1024 * 1024
"""More than all buffers hold that a host and the kernel have for a client; it takes no room on the disk."""


@pytest.fixture(scope="module", autouse=True)
def everything_is_imported():
    """Let what asyncio and uvicorn open for good be open before anybody counts."""

    async def main() -> None:
        async with hosted(ASGIApp(make_app(FakeEndpoint()))) as port:
            _, writer = await connect(port)
            await hang_up(writer)

    asyncio.run(main())


@pytest.fixture(autouse=True)
def no_descriptor_is_left(everything_is_imported: None) -> Iterator[None]:  # noqa: ARG001 - comes before
    before = open_descriptors()
    yield
    assert open_descriptors() == before


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.png"
    path.write_bytes(pattern(LARGE))
    return path


@pytest.fixture
def huge(tmp_path: Path) -> Path:
    path = tmp_path / "large.png"
    path.touch()
    os.truncate(path, HUGE)
    return path


class Sends(FakeEndpoint):
    """Answers with a region, and remembers those that it gave."""

    def __init__(self, make: Callable[[], FileRegion], status: int = 200) -> None:
        super().__init__(lambda *_: Answer(self.make_response()))
        self.make = make
        self.status = status
        self.regions: list[FileRegion] = []

    def make_response(self) -> Response:
        self.regions.append(self.make())
        return Response(self.status, b"", KIND, ((b"x-a", b"1"),), self.regions[-1])


@contextlib.asynccontextmanager
async def asked(
    endpoint: FakeEndpoint, *, method: str = "GET", room: int = 1000, **options: object
) -> AsyncIterator[Hosting]:
    """Ask for the file; afterwards whatever was opened must be closed again, and no task be left."""
    asgi = ASGIApp(make_app(endpoint, **options))
    hosting = Hosting(asgi, HTTP | {"method": method}, WHOLE, room=room)
    try:
        yield hosting
    finally:
        await until(hosting.call.done)
        await asgi.aclose()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        if isinstance(endpoint, Sends):
            assert endpoint.regions
            assert all(region.file.closed for region in endpoint.regions)


def whole(endpoint: FakeEndpoint, **options: object) -> tuple[Message, list[Message]]:
    """Ask, and return the start of the answer and its parts."""

    async def main() -> list[Message]:
        async with asked(endpoint, **options) as hosting:
            return await hosting.end()

    start, *parts = asyncio.run(main())
    assert start["type"] == "http.response.start"
    assert {part["type"] for part in parts} == {"http.response.body"}
    assert [part["more_body"] for part in parts] == [True] * (len(parts) - 1) + [False]
    return start, parts


# All of it


@pytest.mark.parametrize(
    ("offset", "count"),
    [(0, 1), (7, COPIED - 1), (1, COPIED), (2, COPIED + 1), (3, 3 * COPIED), (LARGE - 5, 5), (0, LARGE), (3, 0)],
)
def test_a_region_is_sent_in_slices_of_which_the_last_one_says_so(large: Path, offset: int, count: int):
    start, parts = whole(Sends(regions_of(large, offset, count), 206))
    fields = dict(start["headers"])
    assert (start["status"], fields[b"content-length"], fields[b"x-a"]) == (206, b"%d" % count, b"1")
    assert fields.get(b"content-type") == (KIND if count else None)
    assert b"".join(part["body"] for part in parts) == large.read_bytes()[offset : offset + count]
    assert all(len(part["body"]) <= COPIED for part in parts)
    assert len(parts) == max(1, -(-count // COPIED))


def test_head_is_told_the_length_and_sent_nothing(large: Path):
    endpoint = Sends(regions_of(large, 0, 10))
    endpoint.methods = ("GET", "HEAD")
    start, parts = whole(endpoint, method="HEAD")
    assert dict(start["headers"]) == {b"content-length": b"10", b"content-type": KIND, b"x-a": b"1"}
    assert [part["body"] for part in parts] == [b""]


@pytest.mark.parametrize("status", [204, 304])
def test_where_there_is_no_content_the_file_is_only_closed(large: Path, status: int):
    start, parts = whole(Sends(regions_of(large), status))
    assert (start["status"], start["headers"]) == (status, [(b"x-a", b"1")])
    assert [part["body"] for part in parts] == [b""]


def test_an_answer_that_was_waited_for_may_be_a_file(large: Path):
    sends = Sends(regions_of(large, 0, 10))
    start, parts = whole(FakeEndpoint(lambda *_: Pending(None, 0, lambda _: sends.make_response())))
    assert (start["status"], parts[0]["body"]) == (200, large.read_bytes()[:10])
    assert sends.regions[0].file.closed


def test_a_host_that_takes_all_at_once_leaves_others_their_turns(large: Path):
    turns = []

    async def main() -> None:
        async with asked(Sends(regions_of(large))) as hosting:
            while not hosting.call.done():
                turns.append(len(hosting.sent))
                await asyncio.sleep(0)

    asyncio.run(main())
    assert len(set(turns)) > LARGE // COPIED // 2


# Not all of it


def test_a_file_that_is_cut_short_breaks_the_response_off(large: Path):
    async def main() -> None:
        async with asked(Sends(regions_of(large)), room=2) as hosting:
            await hosting.sends(2)
            os.truncate(large, 3 * COPIED + 5)
            hosting.take(100)
            with pytest.raises(StateError, match="cut short"):
                await hosting.end()
            _, *parts = hosting.sent
            assert sum(len(part["body"]) for part in parts) == 3 * COPIED + 5
            assert all(part["more_body"] for part in parts)

    asyncio.run(main())


def test_nothing_more_is_read_for_a_client_that_has_gone(large: Path):
    async def main() -> None:
        async with asked(Sends(regions_of(large)), room=3) as hosting:
            await hosting.sends(3)
            hosting.say({"type": "http.disconnect"})
            hosting.take(1000)
            assert len(await hosting.end()) < 6

    asyncio.run(main())


def test_a_host_whose_receive_breaks_sends_the_file_all_the_same(large: Path):
    async def main() -> None:
        async with asked(Sends(regions_of(large)), room=1) as hosting:
            await hosting.sends(1)
            hosting.fault_in = RuntimeError("asked too often")
            hosting.say(WHOLE)
            hosting.take(1000)
            assert not (await hosting.end())[-1]["more_body"]

    asyncio.run(main())


@pytest.mark.parametrize("room", [0, 1, 2])
@pytest.mark.parametrize("fault", [OSError, RuntimeError])
def test_what_the_host_s_send_raises_goes_back_to_the_host(large: Path, room: int, fault: type[Exception]):
    async def main() -> None:
        async with asked(Sends(regions_of(large)), room=room) as hosting:
            await hosting.sends(room)
            hosting.fault = fault("nobody is there")
            hosting.take()
            with pytest.raises(fault):
                await hosting.end()

    asyncio.run(main())


@pytest.mark.parametrize("room", [0, 1, 3])
def test_the_host_may_cancel_at_any_time(large: Path, room: int):
    async def main() -> None:
        endpoint = Sends(regions_of(large))
        async with asked(endpoint, room=room) as hosting:
            await until(lambda: endpoint.regions)
            await hosting.sends(room)
            hosting.call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await hosting.end()

    asyncio.run(main())


def test_a_client_that_takes_nothing_is_given_up(large: Path):
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with asked(Sends(regions_of(large)), room=2, timeouts=Timeouts(write=BRIEF)) as hosting:
            start = loop.time()
            with pytest.raises(TimeoutError):
                await hosting.end()
            assert BRIEF * 0.9 <= loop.time() - start < BRIEF + SLACK

    asyncio.run(main())


# Under uvicorn


class Kept(Files):
    """Remembers the regions that it gave."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.regions: list[FileRegion] = []

    def receive(self, request: Request, now: float) -> Exchange:
        answer = super().receive(request, now)
        assert isinstance(answer, Answer)
        if answer.response.region is not None:
            self.regions.append(answer.response.region)
        return answer

    def open(self) -> int:
        return sum(not region.file.closed for region in self.regions)


@contextlib.asynccontextmanager
async def site(files: Kept, **options: object) -> AsyncIterator[int]:
    app = App(**options)
    app.add("/static", files)
    async with hosted(ASGIApp(app), lifespan="on") as port:
        yield port
    assert files.regions
    assert not files.open()


def get(*fields: bytes, method: bytes = b"GET") -> bytes:
    return b"%b /static/large.png HTTP/1.1\r\nHost: x\r\n%b\r\n" % (method, b"".join(fields))


async def open_slow(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect, with small buffers: what is not read stays with the server."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
    return await asyncio.open_connection(sock=client, limit=BUFFER)


def test_under_uvicorn_a_file_comes_whole_in_part_or_not_at_all_over_one_connection(large: Path):
    content = large.read_bytes()

    async def main() -> None:
        async with site(Kept(large.parent)) as port:
            reader, writer = await connect(port)

            async def ask(request: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
                writer.write(request)
                return await read_response(reader)

            status, fields, body = await ask(get())
            assert (status, body == content, fields[b"content-type"]) == (200, True, KIND)
            status, _, body = await ask(get(b"Range: bytes=7-2000006\r\n"))
            assert (status, body == content[7:2_000_007]) == (206, True)
            status, _, body = await ask(get(b"If-None-Match: %b\r\n" % fields[b"etag"]))
            assert (status, body) == (304, b"")
            writer.write(get(method=b"HEAD"))
            assert b"content-length: %d\r\n" % LARGE in await reader.readuntil(b"\r\n\r\n")
            status, _, body = await ask(get(b"Range: bytes=-5\r\n"))
            assert (status, body) == (206, content[-5:])
            await hang_up(writer)

    asyncio.run(main())


def test_under_uvicorn_the_file_is_closed_when_the_client_goes(huge: Path):
    files = Kept(huge.parent)

    async def main() -> None:
        async with site(files) as port:
            for go in (leave, reset):
                reader, writer = await open_slow(port)
                writer.write(get())
                await reader.readexactly(1000)
                assert files.open()
                if go is reset:
                    await reset(writer)
                await leave(writer)
                await until(lambda: not files.open())

    asyncio.run(main())


def test_under_uvicorn_the_connection_is_broken_when_the_file_becomes_short(huge: Path):
    files = Kept(huge.parent)

    async def main() -> None:
        async with site(files) as port:
            reader, writer = await open_slow(port)
            writer.write(get())
            await reader.readuntil(b"\r\n\r\n")
            assert files.open()
            os.truncate(huge, 1000)
            assert len(await reader.read(-1)) < HUGE
            await hang_up(writer)

    asyncio.run(main())


def test_under_uvicorn_the_file_is_closed_when_the_client_does_not_read(huge: Path):
    files = Kept(huge.parent)

    async def main() -> None:
        async with site(files, timeouts=Timeouts(write=BRIEF)) as port:
            reader, writer = await open_slow(port)
            writer.write(get())
            await reader.readexactly(1)
            assert files.open()
            await until(lambda: not files.open())
            await leave(writer)

    asyncio.run(main())
