"""rawbot/aio/outgoing/client.py: posts, and telling what was surely not sent from what may have arrived."""

import asyncio

import pytest
from rogue_server import Answer, RogueServer, meeting, plain, resolve_as, response, saying, silent

from rawbot.aio.outgoing.client import MAX_RESPONSE, Client
from rawbot.errors import FetchError
from rawbot.exchange import OutgoingRequest, Response

NOW = 1000.0


def post(url: str, *, expires_in: float = 60.0) -> OutgoingRequest:
    return OutgoingRequest("POST", url, b'{"a":1}', ((b"content-type", b"application/json"),), NOW + expires_in)


def send(answer: Answer, *, expires_in: float = 60.0, **options: object) -> tuple[Response | None, RogueServer]:
    """Post to a server; give its response."""

    async def run():
        async with meeting(answer, **options) as (server, client):
            return await client.send(post(server.url(), expires_in=expires_in), NOW), server

    return asyncio.run(run())


def test_a_post_brings_the_answer():
    answer, server = send(response(b'{"errcode":0}', "Content-Type: application/json", "X-A: b"))
    fields = [(b"content-length", b"13"), (b"content-type", b"application/json"), (b"x-a", b"b")]
    assert answer == Response(200, b'{"errcode":0}', b"application/json", fields)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /file?response_code=hidden HTTP/1.1\r\n")
    assert b"content-type: application/json" in head.lower()
    assert body == b'{"a":1}'


@pytest.mark.parametrize("status", ["302 Found", "400 Bad Request", "503 Service Unavailable"])
@pytest.mark.parametrize("location", ["/other", "http://[::1", "http://xn--0.com/", "http://10.0.0.1/"])
def test_every_status_is_an_answer_and_no_redirect_is_followed(status: str, location: str):
    answer, server = send(response(b"x", f"Location: {location}", status=status))
    assert answer is not None
    assert (answer.status, answer.body, len(server.requests)) == (int(status[:3]), b"x", 1)


def test_a_long_answer_is_cut():
    answer, _ = send(response(bytes(100_000)))
    assert answer is not None
    assert (answer.status, len(answer.body)) == (200, MAX_RESPONSE)
    answer, _ = send(response(b"abcdef"), max_response=3)
    assert answer is not None
    assert answer.body == b"abc"


def test_without_a_connection_it_may_be_tried_again(monkeypatch: pytest.MonkeyPatch):
    resolve_as(monkeypatch, nobody=["127.0.0.2"])  # the server listens on 127.0.0.1 only

    async def run():
        async with meeting(response(), connect_timeout=0.2) as (server, client):
            url = server.url("nobody.example")
            assert await client.send(post(url), NOW) is None
            with pytest.raises(FetchError, match=r"^nobody\.example: no connection \(ConnectError\)"):
                await client.fetch(plain(url), 1000, None)

    asyncio.run(run())


def test_a_name_that_does_not_resolve_may_be_tried_again():
    async def run():
        client = Client()
        url = "https://rawbot.invalid/?hidden"  # RFC 6761, 6.4: never resolves
        assert await client.send(post(url), NOW) is None
        with pytest.raises(FetchError, match=r"^rawbot\.invalid: the name cannot be resolved$"):
            await client.fetch(plain(url), 1000, None)
        await client.aclose()

    asyncio.run(run())


def test_a_resolver_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch):
    async def hang(*given: object, **options: object) -> None:
        del given, options
        await asyncio.sleep(30)

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", hang)

    async def run():
        client = Client(connect_timeout=0.1)
        assert await client.send(post("https://a.example/"), NOW) is None
        with pytest.raises(FetchError, match="not resolved in time"):
            await client.fetch(plain("https://a.example/"), 1000, None)
        await client.aclose()

    asyncio.run(run())


def test_a_pool_that_stays_full_means_nothing_was_sent():
    async def run():
        async with meeting(silent, max_connections=1) as (server, client):
            first = asyncio.create_task(client.fetch(plain(server.url()), 1000, None))
            await server.asked.wait()
            client._timeouts["pool"] = 0.1
            assert await client.send(post(server.url()), NOW) is None
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            return len(server.requests)

    assert asyncio.run(run()) == 1


@pytest.mark.parametrize(
    ("answer", "options", "reason"),
    [
        (silent, {"read_timeout": 0.1}, "ReadTimeout"),
        (silent, {"timeout": 0.1}, "not done within"),
        (silent, {"expires_in": 0.1}, "not done within"),
        (silent, {"expires_in": 0.0}, "expired"),
        (saying(), {}, "broke off"),
        (saying(response(b"abc")[:-1]), {}, "broke off"),
    ],
)
def test_what_may_have_arrived_or_is_too_late_is_not_to_be_sent_again(
    answer: Answer, options: dict[str, float], reason: str
):
    with pytest.raises(FetchError, match=rf"^127\.0\.0\.1: .*{reason}") as caught:
        send(answer, **options)
    assert "hidden" not in str(caught.value)
