"""rawbot/demo_echo.py: what the demo says back, and when."""

import asyncio

import pytest
from websocket_requests import handshake_request

from rawbot.demo_echo import EchoChannel, EchoEndpoint, make_echo_bot
from rawbot.errors import MissingExtraError
from rawbot.exchange import Pending, Request, Upgrade
from rawbot.websocket import handshake

NOW = 1_760_000_000.0


def ask(request: Request) -> Pending:
    exchange = EchoEndpoint().receive(request, NOW)
    assert isinstance(exchange, Pending)
    return exchange


@pytest.mark.parametrize("method", EchoEndpoint.methods)
def test_a_request_waits_for_the_bot_and_gets_its_own_body(method: str):
    headers = [(b"content-type", b"text/plain; charset=koi8-r")]
    pending = ask(Request(method, "/echo", headers=headers, body=b"\xff"))
    woken = []
    pending.attach(lambda: woken.append(True))
    assert woken == []

    async def handle() -> None:
        handler = make_echo_bot().handler_for(pending.event.kind)
        task = asyncio.ensure_future(handler(pending.event, pending.event.reply))
        await asyncio.sleep(0)
        assert not task.done()  # it awaits, as a real bot's answer does
        await task

    asyncio.run(handle())
    pending.event.reply.finish()
    assert woken == [True]
    response = pending.answer(NOW)
    assert (response.status, response.body, response.content_type) == (200, b"\xff", b"text/plain; charset=koi8-r")


def test_without_a_content_type_the_answer_is_just_bytes():
    assert ask(Request("POST", "/echo", body=b"x")).answer(NOW).content_type == b"application/octet-stream"


@pytest.mark.parametrize("end", [("finish",), ("fail",), ("cancel", "shutdown")])
def test_however_the_handler_ends_the_answer_goes_out(end: tuple[str, ...]):
    pending = ask(Request("GET", "/echo"))
    woken = []
    pending.attach(lambda: woken.append(True))
    reply = pending.event.reply
    reply.write("nothing")
    reply.replace("of this")
    getattr(reply, end[0])(*end[1:])
    assert woken == [True]
    assert pending.answer(NOW).body == b""


def test_a_handshake_becomes_a_channel_and_a_post_with_its_fields_does_not():
    assert isinstance(EchoEndpoint().receive(handshake_request(), NOW), Upgrade)
    assert isinstance(EchoEndpoint().receive(handshake_request(method="POST"), NOW), Pending)


def test_the_channel_says_each_message_back_once():
    channel = EchoChannel()
    for message in ("a", b"b"):
        assert list(channel.receive(message, NOW)) == []
    assert channel.to_send() == ["a", b"b"]
    assert channel.to_send() == []


def test_without_the_library_there_is_no_echo(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(handshake, "INSTALLED", False)
    with pytest.raises(MissingExtraError):
        EchoEndpoint()
