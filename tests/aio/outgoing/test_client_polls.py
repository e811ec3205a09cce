"""rawbot/aio/outgoing/client.py: requests that have a patience, or room for an answer, of their own."""

import asyncio
import time

import pytest
from rogue_server import Answer, meeting, response, saying, silent

from rawbot.errors import FetchError
from rawbot.exchange import OutgoingRequest, Response

NOW = 1000.0


def poll(answer: Answer, *, patience: float | None = None, **options: object) -> Response | None:
    """Ask a server for news; `options` are the client's."""

    async def run() -> Response | None:
        async with meeting(answer, **options) as (server, client):
            request = OutgoingRequest("GET", server.url(), b"", (), NOW + 5, read_timeout=patience)
            return await client.send(request, NOW)

    return asyncio.run(run())


def test_a_request_may_wait_longer_than_others_do():
    whole = response(b"news")
    late = saying(whole[:10], whole[10:], pause=0.3)
    with pytest.raises(FetchError, match="ReadTimeout"):
        poll(late, read_timeout=0.1)
    answer = poll(late, read_timeout=0.1, patience=2.0)
    assert answer is not None
    assert answer.body == b"news"


def test_a_request_may_wait_less_long_than_others_do():
    begun = time.monotonic()
    with pytest.raises(FetchError, match="ReadTimeout"):
        poll(silent, patience=0.1)
    assert time.monotonic() - begun < 4


@pytest.mark.parametrize(("max_response", "kept"), [(None, 3), (5, 5), (2, 2)])
def test_a_request_may_have_more_room_for_its_answer(max_response: int | None, kept: int):
    async def run() -> Response | None:
        async with meeting(response(b"abcdefgh"), max_response=3) as (server, client):
            request = OutgoingRequest("GET", server.url(), b"", (), NOW + 5, max_response=max_response)
            return await client.send(request, NOW)

    answer = asyncio.run(run())
    assert answer is not None
    assert len(answer.body) == kept


@pytest.mark.parametrize(("method", "length"), [("GET", False), ("POST", True)])
def test_only_a_get_without_a_body_tells_of_none(method: str, *, length: bool):
    async def run() -> bytes:
        async with meeting(response()) as (server, client):
            await client.send(OutgoingRequest(method, server.url(), b"", (), NOW + 5), NOW)
            return server.requests[0].lower()

    assert (b"content-length: 0" in asyncio.run(run())) == length
