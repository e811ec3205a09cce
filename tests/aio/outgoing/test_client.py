"""rawbot/aio/outgoing/client.py: downloads from servers that drip, swell, break off and lie; the client's own life."""

import asyncio
import functools
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rogue_server import (
    KEY,
    PNG,
    Answer,
    Recorder,
    RogueServer,
    encrypted,
    meeting,
    plain,
    redirect,
    response,
    saying,
    silent,
)

from rawbot.aio.outgoing.client import MAX_OVERHEAD, THREAD_ABOVE, Client
from rawbot.errors import FetchError, MissingExtraError, StateError
from rawbot.event import Attachment
from rawbot.exchange import OutgoingRequest
from rawbot.media import Media
from rawbot.wecom.media import encode_media

HEAD = b"HTTP/1.1 200 OK\r\n"


def fetch(
    answer: Answer,
    *,
    max_bytes: int = 10**6,
    path: Path | None = None,
    make: Callable[[str], Attachment] = plain,
    **options: object,
) -> tuple[Media, RogueServer]:
    """Fetch what a server says."""

    async def run():
        async with meeting(answer, **options) as (server, client):
            return await client.fetch(make(server.url()), max_bytes, path and str(path)), server

    return asyncio.run(run())


def test_a_small_file_is_decoded_inline():
    async def run():
        async with meeting(response(PNG, 'Content-Disposition: attachment; filename="a.png"')) as (server, client):
            attachment = plain(server.url())
            media = await client.fetch(attachment, 1000, None)
            assert set(attachment.recorder.threads) == {threading.get_ident()}
            return media, server.requests[0].lower()

    media, head = asyncio.run(run())
    assert (media.data, media.size, media.name, media.content_type) == (PNG, len(PNG), "a.png", "image/png")
    assert head.startswith(b"get /file?response_code=hidden http/1.1\r\nhost: 127.0.0.1:")
    assert b"\r\naccept-encoding: identity\r\n" in head


def test_a_file_above_the_threshold_is_decoded_in_a_thread():
    async def run():
        async with meeting(response(bytes(THREAD_ABOVE * 3))) as (server, client):
            attachment = plain(server.url())
            media = await client.fetch(attachment, 10**7, None)
            assert threading.get_ident() not in attachment.recorder.threads
            assert 2 <= len(attachment.recorder.threads) <= 4
            return media

    assert asyncio.run(run()).data == bytes(THREAD_ABOVE * 3)


def test_a_large_encrypted_file_is_saved(tmp_path: Path):
    data = PNG + bytes(range(256)) * 4000
    path = tmp_path / "picture"
    media, _ = fetch(response(encode_media(data, KEY)), make=encrypted, path=path, max_bytes=len(data))
    assert path.read_bytes() == data
    assert (media.path, media.size, media.data, media.name) == (str(path), len(data), b"", "image.png")
    assert list(tmp_path.iterdir()) == [path]


def test_a_body_without_a_length_ends_with_the_connection():
    assert fetch(saying(HEAD + b"\r\n", PNG))[0].data == PNG


@pytest.mark.parametrize("encoded", [encode_media(PNG, KEY)[:-1], encode_media(PNG, KEY)[:-32], b""])
def test_a_cut_cipher_is_an_error_even_where_http_sees_none(encoded: bytes, tmp_path: Path):
    with pytest.raises(FetchError, match=r"^127\.0\.0\.1: the (file is cut short|padding is wrong)"):
        fetch(saying(HEAD + b"\r\n", encoded), make=encrypted, path=tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (response(b"gone", status="404 Not Found"), "answered 404"),
        (response(PNG, status="206 Partial Content"), "answered 206"),
        (response(status="302 Found"), "answered 302"),
        (response(PNG, "Content-Encoding: gzip"), "compressed"),
        (response(PNG, "Content-Encoding: br"), "compressed"),
        (saying(HEAD + b"Transfer-Encoding: gzip\r\n\r\n"), "broke off"),
        (saying(HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n"), "broke off"),
        (saying(HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n"), "broke off"),
        (saying(HEAD + b"X: " + b"x" * 200_000), "broke off"),
        (saying(response(PNG)[:-1]), "broke off"),
        (saying(b"SSH-2.0-OpenSSH_9.2\r\n"), "broke off"),
        (saying(), "broke off"),
    ],
)
def test_what_is_no_file_is_refused(answer: Answer, reason: str, tmp_path: Path):
    with pytest.raises(FetchError, match=rf"^127\.0\.0\.1: .*{reason}") as caught:
        fetch(answer, path=tmp_path / "a")
    assert "hidden" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_identity_is_no_compression():
    assert fetch(response(PNG, "Content-Encoding: identity"))[0].data == PNG


def test_a_declared_size_is_refused_before_the_first_byte():
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % (1001 + MAX_OVERHEAD))
        await silent(writer)

    with pytest.raises(FetchError, match="larger"):
        fetch(answer, max_bytes=1000)


def test_an_undeclared_size_is_refused_on_the_way():
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"\r\n")
        while True:
            writer.write(bytes(10_000))
            await writer.drain()

    with pytest.raises(FetchError, match="larger"):
        fetch(endless, max_bytes=100_000)


def test_what_is_received_is_bounded_even_when_the_decoder_gives_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Recorder, "update", lambda _decoder, _data: b"")

    with pytest.raises(FetchError, match="larger"):
        fetch(saying(HEAD + b"\r\n", bytes(5000)), max_bytes=1000)


def test_the_cap_is_on_the_file_not_on_its_cipher():
    answer = response(encode_media(PNG, KEY))
    assert fetch(answer, make=encrypted, max_bytes=len(PNG))[0].data == PNG
    with pytest.raises(FetchError, match="larger"):
        fetch(answer, make=encrypted, max_bytes=len(PNG) - 1)


def test_a_drip_ends_at_the_deadline_and_a_silence_before():
    started = time.monotonic()
    with pytest.raises(FetchError, match=r"not done within 0\.2 s"):
        fetch(saying(HEAD + b"Content-Length: 1000\r\n\r\n", *[b"x"] * 100, pause=0.02), timeout=0.2)
    with pytest.raises(FetchError, match="ReadTimeout"):
        fetch(silent, read_timeout=0.1)
    assert time.monotonic() - started < 2


def test_the_life_of_the_url_is_a_deadline_too():
    with pytest.raises(FetchError, match="not done within"):
        fetch(silent, make=functools.partial(plain, life=0.1))
    with pytest.raises(FetchError, match="has expired"):
        fetch(silent, make=functools.partial(plain, life=-1))


def test_a_cancelled_download_leaves_no_file(tmp_path: Path):
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"Content-Length: 10000000\r\n\r\n" + bytes(THREAD_ABOVE * 3))
        await silent(writer)

    def left() -> list[Path]:
        return list(tmp_path.iterdir())

    async def run():
        async with meeting(answer) as (server, client):
            task = asyncio.create_task(client.fetch(plain(server.url()), 10**8, str(tmp_path / "a")))
            while not left():  # noqa: ASYNC110 - a thread makes the file, and tells nobody
                await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return left()

    assert asyncio.run(run()) == []


def test_a_path_that_cannot_be_written_is_the_callers_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        fetch(response(PNG), path=tmp_path / "missing" / "a")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        fetch(response(PNG), path=tmp_path / "folder")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(status: int):
    async def run():
        async with (
            RogueServer(response(PNG)).open() as store,
            meeting(redirect(store.url(), status)) as (server, client),
        ):
            return (await client.fetch(plain(server.url()), 1000, None)).data, len(store.requests)

    assert asyncio.run(run()) == (PNG, 1)


def test_a_relative_redirect_stays_on_the_host():
    async def run():
        async with meeting(b"") as (server, client):

            async def answer(writer: asyncio.StreamWriter) -> None:
                writer.write(redirect("other?x=1") if len(server.requests) == 1 else response(PNG))

            server.answer = answer
            return (await client.fetch(plain(server.url()), 1000, None)).data, server.requests[1]

    data, request = asyncio.run(run())
    assert data == PNG
    assert request.startswith(b"GET /other?x=1 HTTP/1.1\r\n")


def test_redirects_come_to_an_end():
    async def run(**options: int):
        async with meeting(redirect("/again"), **options) as (server, client):
            with pytest.raises(FetchError, match=r"more than \d redirects"):
                await client.fetch(plain(server.url()), 1000, None)
            return len(server.requests)

    assert asyncio.run(run()) == 4
    assert asyncio.run(run(max_redirects=0)) == 1


def test_many_downloads_at_once_share_a_bounded_pool(monkeypatch: pytest.MonkeyPatch):
    opened = []
    really_open = Client._open
    monkeypatch.setattr(Client, "_open", lambda client: opened.append(client) or really_open(client))

    async def run():
        async with meeting(response(PNG), max_connections=3) as (server, client):
            fetches = [client.fetch(plain(server.url()), 1000, None) for _ in range(30)]
            return [media.size for media in await asyncio.gather(*fetches)], server.connections

    sizes, connections = asyncio.run(run())
    assert sizes == [len(PNG)] * 30
    assert connections <= 3
    assert len(opened) == 1


def test_no_cookie_is_kept_though_the_connection_is():
    async def run():
        async with meeting(response(PNG, "Set-Cookie: a=b; Path=/")) as (server, client):
            for _ in range(2):
                await client.fetch(plain(server.url()), 1000, None)
            return server

    server = asyncio.run(run())
    assert b"cookie" not in server.requests[1].lower()
    assert server.connections == 1


def test_nothing_of_a_url_but_its_host_is_logged(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    fetch(response(PNG))
    assert "127.0.0.1" in caplog.text  # httpcore does log
    assert "hidden" not in caplog.text
    assert "/file" not in caplog.text


def test_without_the_extra_the_first_request_names_it(monkeypatch: pytest.MonkeyPatch):
    assert Client().available
    monkeypatch.setitem(sys.modules, "httpx", None)
    assert not Client().available
    with pytest.raises(MissingExtraError, match=r"pip install 'rawbot\[client\]'") as caught:
        fetch(response(PNG))
    assert caught.value.extra == "client"

    async def run():
        await Client().send(OutgoingRequest("POST", "https://a.example/", b"", (), 2.0), 1.0)

    with pytest.raises(MissingExtraError):
        asyncio.run(run())


def test_a_client_that_makes_no_request_never_loads_httpx():
    code = (
        "import asyncio, sys, rawbot.aio.outgoing.client\n"
        "client = rawbot.aio.outgoing.client.Client()\n"
        "client.available\n"
        "asyncio.run(client.aclose())\n"
        "sys.exit('httpx' in sys.modules or 'httpcore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_client_that_was_never_used_can_be_closed():
    async def run():
        client = Client()
        await client.aclose()
        with pytest.raises(StateError, match="closed"):
            await client.fetch(plain("https://a.example/"), 1000, None)

    asyncio.run(run())


def test_closing_ends_what_is_under_way_and_what_comes_later():
    async def run():
        async with meeting(silent) as (server, client):
            task = asyncio.create_task(client.fetch(plain(server.url()), 1000, None))
            await server.asked.wait()
            await client.aclose()
            with pytest.raises(FetchError, match="broke off"):
                await task
            with pytest.raises(StateError, match="closed"):
                await client.fetch(plain(server.url()), 1000, None)

    asyncio.run(run())
