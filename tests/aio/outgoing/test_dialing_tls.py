"""rawbot/aio/outgoing/dialing.py: WebSockets that we open to servers under TLS, or at several addresses."""

import asyncio
import contextlib
import socket
import ssl
from functools import partial

import pytest
import trustme
from dialling import (
    Reader,
    RogueServer,
    Writer,
    dialled,
    echo,
    honest,
    run,
    saying,
    server_context,
    switching,
    url_of,
    warnings,
)
from fake_endpoint import until
from listening import NewLoop, each_loop
from websocket_frames import CLOSE, TEXT, frame

from rawbot.aio.outgoing import dialing as dialing_module

HELLO = frame(TEXT, b"hello", key=None)
BYE = frame(CLOSE, b"\x10\x01bye", key=None)  # 4097
FAR = 60.0
"""Seconds to a next try that does not come."""


@each_loop
def test_under_tls_it_is_the_same(new_loop: NewLoop, trusted: trustme.CA, caplog: pytest.LogCaptureFixture):
    async def main() -> None:
        async with honest(echo, "localhost", "wss", ssl=server_context(trusted)) as url:
            async with dialled(url) as stage:
                channel = await stage.opens()
                channel.say("hello")
                await until(lambda: channel.received == ["hello"])
            assert channel.codes == [1001]

    run(main(), new_loop)
    assert warnings(caplog) == []


@each_loop
@pytest.mark.parametrize(
    ("stranger", "name", "reason"),
    [(True, "localhost", "certificate verify failed"), (False, "other.example", "certificate verify failed")],
)
def test_a_certificate_that_is_not_to_be_trusted_ends_it_before_anything_is_said(
    new_loop: NewLoop, name: str, reason: str, trusted: trustme.CA, caplog: pytest.LogCaptureFixture, *, stranger: bool
):
    async def main() -> None:
        context = server_context(trustme.CA() if stranger else trusted, name)
        async with (
            RogueServer(saying()).listen(context) as server,
            dialled(url_of(server.port, "localhost", "wss")) as stage,
        ):
            await until(lambda: len(warnings(caplog)) == 2)
            assert (server.heads, stage.dial.channels) == ([], [])

    run(main(), new_loop)
    assert all(reason in line for line in warnings(caplog))


@pytest.mark.parametrize("behaviour", ["clear text", "closes", "silent"])
def test_a_server_that_speaks_no_tls_is_given_up(behaviour: str, trusted: trustme.CA, caplog: pytest.LogCaptureFixture):
    del trusted
    writers = []

    async def behave(reader: Reader, writer: Writer) -> None:
        writers.append(writer)
        if behaviour == "clear text":
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        if behaviour != "silent":
            writer.close()
        await reader.read()

    async def main() -> None:
        server = await asyncio.start_server(behave, "127.0.0.1", 0)
        url = url_of(server.sockets[0].getsockname()[1], "localhost", "wss")
        async with dialled(url, within=0.3):
            await until(lambda: len(warnings(caplog)) == 2)
        server.close()
        for writer in writers:
            writer.close()

    run(main())


@each_loop
@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("pause", [None, 0.0, 0.01], ids=["at once", "a turn later", "later"])
@pytest.mark.parametrize("single", [False, True], ids=["whole", "byte by byte"])
def test_what_comes_right_behind_the_head_is_not_lost_even_when_the_server_is_gone_by_then(
    new_loop: NewLoop, trusted: trustme.CA, pause: float | None, *, secure: bool, single: bool
):
    async def behave(head: bytes, reader: Reader, writer: Writer) -> None:
        del reader
        wire = switching(head)
        for piece in [wire[at : at + 1] for at in range(len(wire))] if single else [wire]:
            writer.write(piece)
        if pause is not None:
            await asyncio.sleep(pause)
        writer.write(HELLO * 3 + BYE)

    async def main() -> None:
        context = server_context(trusted) if secure else None
        async with (
            RogueServer(behave).listen(context) as server,
            dialled(url_of(server.port, "localhost", "wss" if secure else "ws"), interval=FAR) as stage,
        ):
            await until(lambda: stage.dial.order == "oc")
            assert stage.dial.channel.received == ["hello"] * 3
            assert stage.dial.channel.codes == [4097]

    run(main(), new_loop)


async def say_all_in_one_segment(context: ssl.SSLContext, reader: Reader, writer: Writer) -> None:
    """Accept, say hello, and end TLS, all with one write."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_side=True)
    head = b""
    while b"\r\n\r\n" not in head:
        try:
            tls.do_handshake()
            head += tls.read(65536)
        except ssl.SSLWantReadError:
            writer.write(outgoing.read())
            incoming.write(await reader.read(65536))
    tls.write(switching(head) + HELLO)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.unwrap()
    writer.write(outgoing.read())
    writer.close()


@each_loop
def test_an_end_of_tls_in_the_same_segment_is_not_missed(new_loop: NewLoop, trusted: trustme.CA):
    async def main() -> None:
        behave = partial(say_all_in_one_segment, server_context(trusted))
        server = await asyncio.start_server(behave, "127.0.0.1", 0)
        async with dialled(url_of(server.sockets[0].getsockname()[1], "localhost", "wss")) as stage:
            await until(lambda: stage.dial.order.startswith("ococo"))
            assert stage.dial.channels[0].received == ["hello"]
            assert stage.dial.channels[0].codes == [1006]
        server.close()

    run(main(), new_loop)


@each_loop
@pytest.mark.parametrize("secure", [False, True])
def test_an_address_that_does_not_answer_leaves_time_for_the_next_one(
    new_loop: NewLoop, trusted: trustme.CA, monkeypatch: pytest.MonkeyPatch, *, secure: bool
):
    """The kernel drops what comes to a full backlog."""
    fillers = [socket.socket() for _ in range(3)]

    async def resolve(*_: object) -> list[str]:
        return ["127.0.0.3", "127.0.0.2", "127.0.0.1"]

    async def main() -> None:
        context = server_context(trusted) if secure else None
        async with RogueServer(saying(until_left=True)).listen(context) as server:
            deaf.bind(("127.0.0.2", server.port))
            deaf.listen(0)
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.2", server.port))
            url = url_of(server.port, "localhost", "wss" if secure else "ws")
            async with dialled(url, within=0.9) as stage:
                start = asyncio.get_running_loop().time()
                await stage.opens()
                assert 0.3 <= asyncio.get_running_loop().time() - start < 0.9
                assert server.connected == 1

    monkeypatch.setattr(dialing_module, "resolve", resolve)
    with socket.socket() as deaf:
        run(main(), new_loop)
    for filler in fillers:
        filler.close()
