"""Static files through the whole server: over real sockets, plain and under TLS, with clients of every kind."""

import asyncio
import contextlib
import gzip
import http.client
import logging
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trustme
from descriptors import open_descriptors
from fake_endpoint import until

import rawbot

SIZE = 6 * 1024 * 1024
"""More than sockets on both sides hold."""
LARGE = b"".join(b"%08d" % number for number in range(SIZE // 8))
STYLE = b"body { margin: 0 }\n" * 10


@pytest.fixture(autouse=True)
def nothing_is_left(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Compare what is open before and after each test, and look that nothing was complained about."""
    before = open_descriptors()
    yield
    assert open_descriptors() == before
    assert not [record for record in caplog.get_records("call") if record.levelno >= logging.WARNING]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "large.bin"
    path.write_bytes(LARGE)
    return path


@pytest.fixture
def site(tmp_path: Path, large: Path) -> Path:
    folder = tmp_path / "site"
    (folder / "docs").mkdir(parents=True)
    (folder / "docs" / "index.html").write_bytes(b"<p>docs")
    (folder / "style.css").write_bytes(STYLE)
    (folder / "style.css.gz").write_bytes(gzip.compress(STYLE))
    (folder / "large.bin").hardlink_to(large)
    (tmp_path / "secret").write_bytes(b"secret")
    return folder


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@contextlib.asynccontextmanager
async def serving(site: Path, *, path: str = "/static", **settings: object) -> AsyncIterator[int]:
    tls = settings.pop("tls", None)
    app = rawbot.App(timeouts=rawbot.Timeouts(**settings))
    app.add(path, rawbot.Files(site))
    async with rawbot.serve(app, rawbot.Listen(port=0, tls=tls)) as server:
        yield server.port


def ask(port: int, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Ask as Python's own client does; call it in a thread."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


async def connect(port: int, **secure: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect with small buffers, so that the server notices who does not read."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
    return await asyncio.open_connection(sock=client, limit=64 * 1024, **secure)


async def leave(writer: asyncio.StreamWriter, *, reset: bool = False) -> None:
    if reset:
        raw = writer.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def request(path: str, *, method: str = "GET", fields: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode()


async def read_answer(reader: asyncio.StreamReader, *, content: bool = True) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    status, *lines = head.strip().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines)
    size = int(fields.get("content-length", 0)) if content else 0
    return int(status.split()[1]), fields, await reader.readexactly(size)


def run(coroutine: object) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 30))


async def all_closed(before: set[str], *, but: int = 0) -> None:
    """Wait until no more is open than before, but for so many."""
    await until(lambda: len(open_descriptors()) <= len(before) + but)


# Questions and answers


def test_a_browser_gets_files_parts_and_what_it_has_already(site: Path):
    async def go():
        async with serving(site) as port:
            status, fields, body = await asyncio.to_thread(ask, port, "GET", "/static/style.css")
            assert (status, body, fields["content-type"]) == (200, STYLE, "text/css; charset=utf-8")
            assert fields["content-length"] == str(len(STYLE))
            assert fields["date"]
            again = await asyncio.to_thread(ask, port, "GET", "/static/style.css", if_none_match=fields["etag"])
            assert (again[0], again[2]) == (304, b"")
            assert "content-length" not in again[1]
            assert again[1]["etag"] == fields["etag"]
            status, fields, body = await asyncio.to_thread(ask, port, "GET", "/static/large.bin")
            assert (status, body) == (200, LARGE)
            part = await asyncio.to_thread(
                ask, port, "GET", "/static/large.bin", range="bytes=1000000-", if_range=fields["etag"]
            )
            assert (part[0], part[2]) == (206, LARGE[1_000_000:])
            assert part[1]["content-range"] == f"bytes 1000000-{SIZE - 1}/{SIZE}"
            assert (await asyncio.to_thread(ask, port, "GET", "/static/large.bin", range=f"bytes={SIZE}-"))[0] == 416
            assert (await asyncio.to_thread(ask, port, "GET", "/static/large.bin", if_match='"x"'))[0] == 412

    run(go())


def test_head_is_get_without_the_content(site: Path):
    async def go():
        async with serving(site) as port:
            reader, writer = await connect(port)
            for path in ("/static/style.css", "/static/large.bin", "/static/docs/", "/static/docs", "/static/nothing"):
                for fields in ("", "Range: bytes=0-0\r\n", "If-None-Match: *\r\n"):
                    writer.write(request(path, method="HEAD", fields=fields))
                    told = await read_answer(reader, content=False)
                    plain = "" if fields.startswith("Range") else fields  # RFC 9110, section 14.2: Range is for GET
                    writer.write(request(path, fields=plain))
                    got = await read_answer(reader)
                    for answer in (told, got):
                        answer[1].pop("date")
                    assert told[:2] == got[:2]
            await leave(writer)

    run(go())


def test_those_who_take_gzip_get_it(site: Path):
    async def go():
        async with serving(site) as port:
            _, fields, body = await asyncio.to_thread(
                ask, port, "GET", "/static/style.css", accept_encoding="br, gzip;q=0.9"
            )
            assert (gzip.decompress(body), fields["content-encoding"]) == (STYLE, "gzip")
            _, fields, body = await asyncio.to_thread(
                ask, port, "GET", "/static/style.css", accept_encoding="gzip;q=0, *"
            )
            assert (body, fields["vary"]) == (STYLE, "accept-encoding")

    run(go())


@pytest.mark.parametrize("path", ["/static", "/"])
def test_a_directory_is_found_with_and_without_its_slash(site: Path, path: str):
    async def go():
        async with serving(site, path=path) as port:
            place = f"{path.rstrip('/')}/docs"
            status, fields, _ = await asyncio.to_thread(ask, port, "GET", place + "?v=1")
            assert (status, fields["location"]) == (308, "./docs/?v=1")
            assert (await asyncio.to_thread(ask, port, "GET", place + "/"))[2] == b"<p>docs"

    run(go())


@pytest.mark.parametrize(
    "path",
    [
        "/../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/..%5csecret",
        "/docs/../../secret",
        "//etc/passwd",
        "//evil.example/%2e%2e",
        "/style.css%00",
        "/%ff",
        "/link",
        "/up/secret",
    ],
)
def test_nothing_but_the_site_is_served(site: Path, path: str):
    """Sent as it is: clients would tidy it up."""
    (site / "link").symlink_to("../secret")
    (site / "up").symlink_to("..")

    async def go():
        for mounted in ("/static", "/"):
            async with serving(site, path=mounted) as port:
                reader, writer = await connect(port)
                writer.write(request(mounted.rstrip("/") + path))
                status, fields, body = await read_answer(reader)
                assert (status, body) == (404, b"Not Found\n")
                assert "location" not in fields
                await leave(writer)

    run(go())


def test_files_are_for_reading(site: Path):
    async def go():
        async with serving(site) as port:
            status, fields, _ = await asyncio.to_thread(ask, port, "PUT", "/static/style.css")
            assert status == 405
            assert {"GET", "HEAD"} <= set(fields["allow"].split(", "))

    run(go())


# Connections


def test_files_and_other_answers_come_in_the_order_of_the_requests(site: Path):
    async def go():
        async with serving(site) as port:
            reader, writer = await connect(port)
            paths = ["/static/large.bin", "/static/style.css", "/static/nothing", "/static/large.bin", "/nowhere"]
            writer.write(b"".join(map(request, paths)) + request("/static/large.bin", fields="Connection: close\r\n"))
            bodies = [(await read_answer(reader))[2] for _ in range(6)]
            assert bodies == [LARGE, STYLE, b"Not Found\n", LARGE, b"Not Found\n", LARGE]
            assert await reader.read() == b""
            await leave(writer)

    run(go())


def test_a_client_that_closes_its_side_gets_the_file(site: Path):
    async def go():
        async with serving(site) as port:
            reader, writer = await connect(port)
            writer.write(request("/static/large.bin"))
            writer.write_eof()
            assert (await read_answer(reader))[2] == LARGE
            assert await reader.read() == b""
            await leave(writer)

    run(go())


def test_tls_clients_get_the_same_files(site: Path, tmp_path: Path, authority: trustme.CA):
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    async def go():
        async with serving(site, tls=rawbot.TLS(certfile=str(tmp_path / "server.pem"))) as port:
            reader, writer = await connect(port, ssl=trusting, server_hostname="localhost")
            writer.write(request("/static/large.bin") * 2 + request("/static/style.css"))
            assert [(await read_answer(reader))[2] for _ in range(3)] == [LARGE, LARGE, STYLE]
            await leave(writer)

    run(go())


def test_a_client_that_goes_away_in_the_middle_leaves_nothing(site: Path):
    async def go():
        async with serving(site) as port:
            before = open_descriptors()
            for reset in (False, True, True):
                reader, writer = await connect(port)
                writer.write(request("/static/large.bin") * 3)
                await reader.readexactly(100_000)
                await leave(writer, reset=reset)
            await all_closed(before)
            assert (await asyncio.to_thread(ask, port, "GET", "/static/style.css"))[2] == STYLE

    run(go())


def test_a_client_that_does_not_read_is_cut_off(site: Path):
    async def go():
        async with serving(site, write=0.3) as port:
            before = open_descriptors()
            reader, writer = await connect(port)
            writer.write(request("/static/large.bin"))
            await until(lambda: len(open_descriptors()) == len(before) + 3)  # both sockets and the file
            await all_closed(before, but=1)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(SIZE)
            await leave(writer)

    run(go())


def test_a_file_that_is_cut_short_is_never_taken_for_whole(site: Path):
    (site / "changing.bin").write_bytes(LARGE)

    async def go():
        async with serving(site) as port:
            reader, writer = await connect(port)
            writer.write(request("/static/changing.bin"))
            await reader.readexactly(100_000)
            os.truncate(site / "changing.bin", SIZE // 2)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(SIZE)
            await leave(writer)

    run(go())


def test_many_at_once_get_what_they_asked_for(site: Path):
    async def fetch(port: int, start: int) -> None:
        reader, writer = await connect(port)
        writer.write(request("/static/large.bin", fields=f"Range: bytes={start}-\r\n"))
        status, _, body = await read_answer(reader)
        assert (status, body) == (206, LARGE[start:])
        await leave(writer)

    async def go():
        async with serving(site) as port:
            await asyncio.gather(*(fetch(port, 1 + 100_000 * number) for number in range(40)))

    run(go())


# The end of the server


def test_a_download_is_finished_before_the_server_ends(site: Path):
    async def go():
        async with serving(site) as port:
            reader, writer = await connect(port)
            writer.write(request("/static/large.bin"))
            start = await reader.readexactly(100_000)
            reading = asyncio.create_task(reader.read(-1))
        assert (start + await reading).endswith(LARGE[-1000:])
        await leave(writer)

    run(go())


def test_a_download_that_nobody_reads_does_not_hold_the_server(site: Path, caplog: pytest.LogCaptureFixture):
    async def go():
        async with serving(site, graceful=0.2) as port:
            _, writer = await connect(port)
            writer.write(request("/static/large.bin"))
            await asyncio.sleep(0.1)
        await leave(writer)

    run(go())
    assert caplog.messages == ["answers that were on their way are cut off by the end"]
    caplog.clear()
