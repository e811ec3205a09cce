"""rawbot/aio/outgoing/client.py: which fields a request has, and who gets to see them."""

import asyncio
import time

import pytest
from rogue_server import LOCAL, PNG, PlainAttachment, RogueServer, meeting, redirect, response

from rawbot.aio.outgoing.client import Client
from rawbot.aio.outgoing.policy import ANYWHERE
from rawbot.errors import FetchError
from rawbot.exchange import Headers, OutgoingRequest

SECRET: Headers = ((b"authorization", b"Bearer secret"), (b"x-a", b"b"))


def fields_of(request: bytes) -> list[tuple[bytes, bytes]]:
    """Return the fields as they were sent, names in lower case."""
    lines = request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    return [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]


def values_of(request: bytes, name: bytes) -> list[bytes]:
    return [value for key, value in fields_of(request) if key == name]


def attachment(url: str, headers: Headers = SECRET) -> PlainAttachment:
    return PlainAttachment("image", url, expires_at=time.time() + 60, headers=headers)


def posted(headers: Headers) -> bytes:
    """Post with these fields; return the request."""

    async def run():
        async with meeting(response()) as (server, client):
            await client.send(OutgoingRequest("POST", server.url(), b"{}", headers, 2000.0), 1000.0)
            return server.requests[0]

    return asyncio.run(run())


def test_a_request_says_who_sends_it_unless_it_says_that_itself():
    assert values_of(posted(()), b"user-agent") == [b"rawbot"]
    assert values_of(posted(SECRET), b"user-agent") == [b"rawbot"]
    for name in (b"user-agent", b"User-Agent"):
        assert values_of(posted([(name, b"OneBot/12 (x) rawbot/1")]), b"user-agent") == [b"OneBot/12 (x) rawbot/1"]


def test_what_else_we_say_is_said_once_as_well():
    request = posted([(b"accept-encoding", b"gzip"), (b"content-type", b"application/json")])
    assert values_of(request, b"accept-encoding") == [b"gzip"]
    assert values_of(request, b"content-type") == [b"application/json"]
    assert values_of(posted(()), b"accept-encoding") == [b"identity"]
    assert len(values_of(request, b"host")) == 1


def test_an_attachment_may_bring_fields_and_a_user_agent_of_its_own():
    async def run():
        async with meeting(response(PNG)) as (server, client):
            media = await client.fetch(attachment(server.url(), [*SECRET, (b"user-agent", b"other")]), 1000, None)
            return media.data, server.requests[0]

    data, request = asyncio.run(run())
    assert data == PNG
    assert set(SECRET) <= set(fields_of(request))
    assert values_of(request, b"user-agent") == [b"other"]
    assert values_of(request, b"accept-encoding") == [b"identity"]


def test_on_its_way_within_the_origin_they_stay_with_it():
    async def run():
        async with meeting(b"") as (server, client):

            async def answer(writer: asyncio.StreamWriter) -> None:
                writer.write(redirect("/other") if len(server.requests) == 1 else response(PNG))

            server.answer = answer
            await client.fetch(attachment(server.url()), 1000, None)
            return server.requests

    first, second = asyncio.run(run())
    assert set(SECRET) <= set(fields_of(first))
    assert set(SECRET) <= set(fields_of(second))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"], ids=["another port", "another name"])
def test_no_other_origin_gets_to_see_them_nor_the_first_one_on_the_way_back(host: str):
    async def run():
        async with RogueServer(b"").open() as other, meeting(b"", policy=LOCAL) as (server, client):
            other.answer = redirect(server.url())

            async def answer(writer: asyncio.StreamWriter) -> None:
                writer.write(redirect(other.url(host)) if len(server.requests) == 1 else response(PNG))

            server.answer = answer
            media = await client.fetch(attachment(server.url(), [*SECRET, (b"user-agent", b"own")]), 1000, None)
            assert media.data == PNG
            return server.requests, other.requests

    (first, third), (second,) = asyncio.run(run())
    assert set(SECRET) <= set(fields_of(first))
    for request in (second, third):
        assert not set(SECRET) & set(fields_of(request))
        assert b"secret" not in request
        assert values_of(request, b"user-agent") == [b"rawbot"]


@pytest.mark.parametrize(
    "headers",
    [
        [(b"x", b"a\r\nx-b: c")],
        [(b"x y", b"a")],
        [(b"content-length", b"5")],
        [(b"host", b"elsewhere.example")],
        [(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")],
    ],
)
def test_fields_that_would_make_another_request_of_it_make_none(headers: Headers):
    async def run():
        async with meeting(response(PNG)) as (server, client):
            with pytest.raises(
                FetchError, match=r"^127\.0\.0\.1: (the exchange broke off|a field of the request)"
            ) as caught:
                await client.fetch(attachment(server.url(), headers), 1000, None)
            assert "elsewhere" not in str(caught.value)
            return server.requests

    assert asyncio.run(run()) == []


def test_the_operator_s_own_client_goes_anywhere():
    async def run():
        async with RogueServer(response(b"ok")).open() as server:
            client = Client(policy=ANYWHERE)
            answer = await client.send(OutgoingRequest("POST", server.url("localhost"), b"{}", (), 2000.0), 1000.0)
            await client.aclose()
            return answer

    assert asyncio.run(run()).body == b"ok"
