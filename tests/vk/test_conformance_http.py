"""VK's callbacks over real sockets: however the bytes come, and however the app ends."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trustme
from fake_endpoint import connect, hang_up, read_response, talk, until
from memory_journal import MemoryJournal
from vk_platform import FakeApi
from vk_samples import GROUP, SECRET, callback, encode, new_message

import rawbot
from rawbot.event import Event
from rawbot.vk.endpoint import MAX_BODY, VKEndpoint
from rawbot.vk.replies import VKReply
from rawbot.vk.settings import VKGroup

HEAD = b"POST /webhook HTTP/1.1\r\nHost: bot.example\r\nContent-Type: application/json\r\n"
QUICK = rawbot.Timeouts(graceful=0.2, settle=0.2)
OTHER = GROUP + 1


def body(number: int = 1, text: str = "привет", **more: object) -> bytes:
    return encode(callback(value=new_message(text, cmid=number)) | {"event_id": f"{number:040x}", **more})


def post(data: bytes, *fields: bytes) -> bytes:
    lines = b"".join(field + b"\r\n" for field in (b"Content-Length: %d" % len(data), *fields))
    return HEAD + lines + b"\r\n" + data


def chunked(data: bytes, size: int, *fields: bytes) -> bytes:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    lines = b"".join(field + b"\r\n" for field in (b"Transfer-Encoding: chunked", *fields))
    return HEAD + lines + b"\r\n" + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (*pieces, b""))


class Heard:
    """A bot that remembers what it was told, and does what `handle` does."""

    def __init__(self, handle: Callable[[Event, VKReply], object] = lambda *_: None) -> None:
        self.numbers: list[int] = []
        self.bot = rawbot.Bot()

        @self.bot.on_message
        def hear(event: Event, reply: VKReply) -> object:
            self.numbers.append(int(event.message_id))
            return handle(event, reply)


@contextlib.asynccontextmanager
async def serving(heard: Heard, api: FakeApi | None = None, **options: object) -> AsyncIterator[rawbot.Server]:
    group = VKGroup(secret=SECRET, confirmation=options.pop("confirmation", "12ab34cd"))
    app = rawbot.App(heard.bot, timeouts=QUICK)
    app.add("/webhook", VKEndpoint({GROUP: group}, apis={} if api is None else {GROUP: api}, **options))
    async with asyncio.timeout(20), rawbot.serve(app, port=0) as server:
        yield server


async def ask(port: int, *pieces: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    reader, writer = await connect(port)
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0)
        return await read_response(reader)
    finally:
        await hang_up(writer)


# However the bytes come


def test_an_event_is_answered_with_two_bytes_of_plain_text():
    async def run() -> None:
        heard = Heard()
        async with serving(heard) as server:
            status, fields, said = await ask(server.port, post(body()))
            assert (status, fields[b"content-type"], fields[b"content-length"], said) == (
                200,
                b"text/plain",
                b"2",
                b"ok",
            )
            await until(lambda: heard.numbers == [1])

    asyncio.run(run())


def test_the_confirmation_string_is_the_whole_answer():
    async def run() -> None:
        async with serving(Heard()) as server:
            assert (await ask(server.port, post(encode(callback("confirmation")))))[2] == b"12ab34cd"
            assert (await ask(server.port, post(encode(callback("confirmation", secret="x")))))[0] == 403

    asyncio.run(run())


def test_a_request_may_be_torn_at_any_byte():
    async def run() -> None:
        heard = Heard()
        async with serving(heard, max_per_peer=10_000) as server:
            reader, writer = await connect(server.port)
            whole = len(post(body()))
            for at in range(1, whole):
                data = post(body(at))
                writer.write(data[:at])
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                writer.write(data[at:])
                assert (await read_response(reader))[2] == b"ok"
            await until(lambda: len(heard.numbers) == whole - 1)
            await hang_up(writer)

    asyncio.run(run())


def test_a_request_may_come_byte_by_byte():
    async def run() -> None:
        heard = Heard()
        async with serving(heard) as server:
            status, _, said = await ask(server.port, *(bytes([byte]) for byte in post(body())))
            assert (status, said) == (200, b"ok")

    asyncio.run(run())


@pytest.mark.parametrize("make", [post, lambda data: chunked(data, 100)])
def test_requests_may_stand_behind_one_another(make: Callable[[bytes], bytes]):
    async def run() -> None:
        heard = Heard()
        async with serving(heard, max_per_peer=100) as server:
            requests = b"".join(make(body(number)) for number in range(1, 51))
            last = post(b"[]", b"Connection: close")
            answers = await talk(server.port, requests + last)
            assert answers.count(b"HTTP/1.1 200 OK\r\n") == answers.count(b"\r\n\r\nok") == 50
            assert answers.count(b"HTTP/1.1 400 ") == 1
            await until(lambda: heard.numbers == list(range(1, 51)))

    asyncio.run(run())


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_body_may_come_in_chunks(size: int):
    async def run() -> None:
        async with serving(Heard()) as server:
            assert (await ask(server.port, chunked(body(), size)))[2] == b"ok"

    asyncio.run(run())


def test_a_sender_that_expects_to_be_told_to_go_on_is():
    async def run() -> None:
        async with serving(Heard()) as server:
            reader, writer = await connect(server.port)
            data = post(body(), b"Expect: 100-continue")
            writer.write(data[: -len(body())])
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(body())
            assert (await read_response(reader))[2] == b"ok"
            await hang_up(writer)

    asyncio.run(run())


def test_a_megabyte_before_the_secret_is_taken():
    large = callback(value=new_message(attachments=[{"type": "wall", "wall": {"text": "x" * 1024 * 1024}}]))

    async def run() -> None:
        heard = Heard()
        async with serving(heard) as server:
            assert encode(large).endswith(b'"secret":"%s"}' % SECRET.encode())
            assert (await ask(server.port, post(encode(large))))[2] == b"ok"
            assert (await ask(server.port, chunked(encode(large | {"secret": "x"}), 10_000)))[0] == 403
            await until(lambda: len(heard.numbers) == 1)

    asyncio.run(run())


@pytest.mark.parametrize(
    "request_of",
    [
        lambda: HEAD + b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1),
        lambda: HEAD + b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % (MAX_BODY + 1),
        lambda: chunked(b" " * (MAX_BODY + 1), 65_536),
    ],
    ids=["told before", "expecting", "in chunks"],
)
def test_what_is_too_large_is_told_so(request_of: Callable[[], bytes]):
    async def run() -> None:
        async with serving(Heard()) as server:
            assert (await ask(server.port, request_of()))[0] == 413

    asyncio.run(run())


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"PUT", b"DELETE"])
def test_other_methods_are_not_allowed(method: bytes):
    async def run() -> None:
        heard = Heard()
        async with serving(heard) as server:
            said = await talk(server.port, method + b" /webhook HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert said.startswith(b"HTTP/1.1 405 ")
            assert b"\r\nallow: OPTIONS, POST\r\n" in said
            assert b"\r\n\r\nok" not in said
        assert heard.numbers == []

    asyncio.run(run())


def test_many_connections_may_bring_the_same_event_at_once():
    async def run() -> None:
        heard = Heard()
        async with serving(heard) as server:
            answers = await asyncio.gather(*(ask(server.port, post(body())) for _ in range(32)))
            assert {said for _, _, said in answers} == {b"ok"}
            assert heard.numbers == [1]

    asyncio.run(run())


def test_bad_requests_leave_the_connection_and_the_log_as_they_should_be(caplog: pytest.LogCaptureFixture):
    async def run() -> None:
        heard = Heard()
        async with serving(heard) as server:
            reader, writer = await connect(server.port)
            for bad in (b"[]", b"null", b"[" * 50_000, b"\xff", body(group_id="x"), body(secret="wrong")):
                writer.write(post(bad))
                assert (await read_response(reader))[0] in (400, 403)
            writer.write(post(body()))
            assert (await read_response(reader))[2] == b"ok"
            await hang_up(writer)

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    assert "wrong" not in caplog.text
    assert not [record for record in caplog.records if record.levelno > logging.WARNING]


def test_vk_may_have_to_show_its_certificate(tmp_path: Path):
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    ca.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    tls = rawbot.TLS(str(tmp_path / "server.pem"), ca_certs=str(tmp_path / "ca.pem"), cert_reqs="optional")
    heard = Heard()

    def showing(common_name: str | None) -> ssl.SSLContext:
        context = ssl.create_default_context()
        ca.configure_trust(context)
        if common_name is not None:
            ca.issue_cert("vk.example", common_name=common_name).configure_cert(context)
        return context

    async def post_by(port: int, context: ssl.SSLContext, data: bytes) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
        writer.write(post(data))
        status = (await read_response(reader))[0]
        await hang_up(writer)
        return status

    async def run() -> None:
        app = rawbot.App(heard.bot, timeouts=QUICK)
        group = VKGroup(secret=SECRET, confirmation="12ab34cd", common_name="callback.vk")
        app.add("/webhook", VKEndpoint({GROUP: group}))
        async with asyncio.timeout(20), rawbot.serve(app, rawbot.Listen(port=0, tls=tls)) as server:
            for common_name, status in (("callback.vk", 200), ("another", 403), (None, 403)):
                for data in (body(), encode(callback("confirmation"))):
                    assert await post_by(server.port, showing(common_name), data) == status
        assert heard.numbers == [1]

    asyncio.run(run())


# Whatever the handler does


@pytest.mark.parametrize("waits", [False, True])
def test_what_a_handler_returns_does_not_leave_the_process(waits: bool, caplog: pytest.LogCaptureFixture):  # noqa: FBT001 - a parameter of the table
    async def later() -> str:
        return "remove"

    async def run() -> None:
        heard = Heard(lambda *_: later() if waits else "remove")
        async with serving(heard) as server:
            for number in (1, 2):
                assert (await ask(server.port, post(body(number, "version 5.1"))))[2] == b"ok"
            await until(lambda: heard.numbers == [1, 2])
            assert (await ask(server.port, post(body(1))))[2] == b"ok"

    asyncio.run(run())
    assert ("handlers write" in caplog.text) != waits


def test_a_handler_that_raises_is_logged_and_runs_again_when_vk_comes_again():
    tries: list[int] = []

    def handle(_: Event, reply: VKReply) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("at first")
        reply.write("готово")

    async def run() -> None:
        heard, api = Heard(handle), FakeApi()
        async with serving(heard, api) as server:
            for _ in range(3):
                assert (await ask(server.port, post(body())))[2] == b"ok"
                await asyncio.sleep(0.01)
        assert (len(tries), api.texts()) == (2, ["готово"])

    asyncio.run(run())


def test_messages_of_a_dialog_are_handled_in_order_and_dialogs_beside_each_other():
    begun: list[str] = []
    go_on: dict[str, asyncio.Event] = {}

    async def handle(event: Event, _: VKReply) -> None:
        begun.append(event.text)
        await go_on.setdefault(event.text, asyncio.Event()).wait()

    async def run() -> None:
        async with serving(Heard(handle)) as server:
            for number, (text, peer) in enumerate([("a1", 1), ("a2", 1), ("b1", 2), ("a3", 1)], 1):
                message = callback(value=new_message(text, cmid=number, peer_id=peer)) | {"event_id": f"{number:040x}"}
                assert (await ask(server.port, post(encode(message))))[2] == b"ok"
            await until(lambda: begun == ["a1", "b1"])
            for text in ("a1", "a2", "a3", "b1"):
                await until(lambda text=text: text in go_on)
                go_on[text].set()
        assert begun == ["a1", "b1", "a2", "a3"]

    asyncio.run(run())


def test_several_bots_share_a_path():
    heard: list[str] = []

    def bot(name: str) -> rawbot.Bot:
        made = rawbot.Bot()
        made.on_message(lambda event, _: heard.append(f"{name} {event.bot}"))
        return made

    async def run() -> None:
        app = rawbot.App(timeouts=QUICK)
        groups = {GROUP: VKGroup(secret="one", bot=bot("one")), OTHER: VKGroup(secret="two", bot=bot("two"))}
        app.add("/webhook", VKEndpoint(groups))
        async with asyncio.timeout(20), rawbot.serve(app, port=0) as server:
            assert (await ask(server.port, post(body(1, secret="two", group_id=OTHER))))[2] == b"ok"
            assert (await ask(server.port, post(body(1, secret="one"))))[2] == b"ok"
            assert (await ask(server.port, post(body(2, secret="two"))))[0] == 403
            await until(lambda: heard == [f"two {OTHER}", f"one {GROUP}"])

    asyncio.run(run())


# The API tells the confirmation string


@pytest.mark.parametrize("code", [{"code": "from-the-api"}, {}])
def test_a_confirmation_may_wait_for_the_api(code: object):
    async def run() -> None:
        api = FakeApi()
        api.held, api.code = True, code
        async with serving(Heard(), api, confirmation=None) as server:
            asking = [asyncio.create_task(ask(server.port, post(encode(callback("confirmation"))))) for _ in range(3)]
            await until(lambda: api.open)
            await asyncio.sleep(0.02)
            assert len(api.open) == 1
            api.answer()
            answers = {(status, said) for status, _, said in await asyncio.gather(*asking)}
            assert answers == ({(200, b"from-the-api")} if code else {(503, b"no confirmation string yet\n")})

    asyncio.run(run())


# However the app ends


def test_an_event_that_comes_as_the_app_ends_is_not_acknowledged():
    go_on = []

    async def handle(_event: Event, _reply: VKReply) -> None:
        while not go_on:  # noqa: ASYNC110 - ended by the test
            await asyncio.sleep(0.005)

    async def run() -> None:
        heard = Heard(handle)
        async with serving(heard) as server:
            reader, writer = await connect(server.port)
            writer.write(post(body(1)))
            assert (await read_response(reader))[2] == b"ok"
            await until(lambda: heard.numbers)
            idle = await connect(server.port)
            idle[1].write(post(body(2))[:-1])
            await asyncio.sleep(0.02)
            closing = asyncio.create_task(server.close())
            await asyncio.sleep(0.02)
            idle[1].write(post(body(2))[-1:])
            status, fields, _ = await read_response(idle[0])
            assert (status, fields[b"retry-after"]) == (503, b"5")
            go_on.append(True)
            await closing
            await hang_up(writer, idle[1])
        assert heard.numbers == [1]

    asyncio.run(run())


def test_handlers_that_are_done_in_time_are_drained_with_their_answers():
    async def handle(_: Event, reply: VKReply) -> None:
        await asyncio.sleep(0.05)
        reply.write("готово")

    async def run() -> None:
        api, journal = FakeApi(), MemoryJournal()
        async with serving(Heard(handle), api, journal=journal) as server:
            assert (await ask(server.port, post(body())))[2] == b"ok"
        assert api.texts() == ["готово"]
        assert journal.open == []

    asyncio.run(run())


def test_handlers_that_are_cut_off_are_begun_anew_by_the_next_process():
    async def handle(event: Event, reply: VKReply) -> None:
        reply.write("нача")
        if event.text == "долго" and not again:
            await asyncio.sleep(60)
        reply.replace("готово")

    again: list[bool] = []

    async def run() -> None:
        journal, api = MemoryJournal(), FakeApi()
        heard = Heard(handle)
        async with serving(heard, api, journal=journal) as server:
            for number, text in ((1, "долго"), (2, "ждёт"), (3, "ждёт")):
                assert (await ask(server.port, post(body(number, text))))[2] == b"ok"
        assert (heard.numbers, api.texts(), len(journal.open)) == ([1], [], 3)
        again.append(True)
        heard = Heard(handle)
        async with serving(heard, api, journal=journal) as server:
            assert (await ask(server.port, post(body(2, "ждёт"), b"X-Retry-Counter: 1")))[2] == b"ok"
            await until(lambda: not journal.open)
        assert (heard.numbers, api.texts()) == ([1, 2, 3], ["готово"] * 3)

    asyncio.run(run())
