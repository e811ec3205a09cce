"""rawbot/simulate/wecom_services.py over a real socket: files by their URL, response_urls, and what is neither."""

import asyncio
from collections.abc import Awaitable, Callable

import orjson
import pytest

from rawbot.errors import StateError
from rawbot.exchange import Response
from rawbot.media import decode_filename
from rawbot.simulate.http_client import HttpClient, split_url
from rawbot.simulate.wecom_services import MAX_POST, WeComServices


def with_services(
    use: Callable[[WeComServices, HttpClient], Awaitable[object]], *, media_lifetime: float = 9.0
) -> object:
    async def run():
        services = WeComServices(media_lifetime=media_lifetime, response_url_lifetime=9.0)
        await services.start()
        try:
            async with HttpClient(services.base_url) as client:
                return await use(services, client)
        finally:
            await services.stop()

    return asyncio.run(run())


async def get(client: HttpClient, url: str) -> Response:
    return await client.request("GET", split_url(url).target)


async def post(client: HttpClient, url: str, body: bytes) -> Response:
    return await client.request("POST", split_url(url).target, (), body)


def test_a_file_is_served_as_often_as_asked_for_and_named():
    async def use(services: WeComServices, client: HttpClient):
        url = services.add_file(b"ciphertext", name='报告 "1".pdf')
        assert url.startswith(services.base_url + "/")
        return [await get(client, url), await get(client, url)]

    for answer in with_services(use):
        disposition = dict(answer.headers)[b"content-disposition"]
        assert (answer.status, answer.body, answer.content_type) == (200, b"ciphertext", b"application/octet-stream")
        assert decode_filename(disposition) == '报告 "1".pdf'


def test_a_files_url_has_escapes_that_must_not_be_decoded():
    async def use(services: WeComServices, client: HttpClient):
        url = services.add_file(b"x", name="x")
        assert "sign=%2B%2F" in url
        return await get(client, url.replace("%2B", "+"))

    assert with_services(use).status == 404


def test_a_file_is_gone_after_its_time():
    async def use(services: WeComServices, client: HttpClient):
        url = services.add_file(b"x", name="x")
        await asyncio.sleep(0.02)
        return await get(client, url)

    assert with_services(use, media_lifetime=0.01).status == 404


@pytest.mark.parametrize("method", ["DELETE", "GET"])
def test_what_is_not_there_is_not_found(method: str):
    async def use(_: WeComServices, client: HttpClient):
        return await client.request(method, "/else")

    assert with_services(use).status == 404


def test_what_is_posted_goes_to_whom_the_url_was_made_for():
    posted = []

    def receive(body: bytes) -> tuple[int, str]:
        posted.append(body)
        return 40008, "no"

    async def use(services: WeComServices, client: HttpClient):
        other = services.add_response_url(lambda _: (0, "ok"))
        return [await post(client, url, b'{"a":1}') for url in (services.add_response_url(receive), other)]

    refused, accepted = with_services(use)
    assert posted == [b'{"a":1}']
    assert (refused.status, orjson.loads(refused.body)) == (200, {"errcode": 40008, "errmsg": "no"})
    assert orjson.loads(accepted.body) == {"errcode": 0, "errmsg": "ok"}


def test_an_unknown_code_is_told():
    async def use(services: WeComServices, client: HttpClient):
        return await post(client, services.add_response_url(lambda _: (0, "ok")) + "x", b"{}")

    assert orjson.loads(with_services(use).body)["errcode"] == 40029


def test_a_post_has_a_limit():
    posted = []

    def receive(body: bytes) -> tuple[int, str]:
        posted.append(len(body))
        return 0, "ok"

    async def use(services: WeComServices, client: HttpClient):
        url = services.add_response_url(receive)
        return [await post(client, url, bytes(size)) for size in (MAX_POST, MAX_POST + 1, 1)]

    assert [answer.status for answer in with_services(use)] == [200, 413, 200]
    assert posted == [MAX_POST, 1]


def test_noise_closes_only_its_own_connection():
    async def use(services: WeComServices, client: HttpClient):
        address = split_url(services.base_url)
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"\x16\x03\x01 no http\r\n\r\n")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        return await get(client, services.add_file(b"x", name="x"))

    assert with_services(use).status == 200


def test_a_peer_may_say_that_it_will_close():
    async def use(services: WeComServices, client: HttpClient):
        target = split_url(services.add_file(b"x", name="x")).target
        headers = [(b"connection", b"close")]
        return [(await client.request("GET", target, headers)).body for _ in range(2)]

    assert with_services(use) == [b"x", b"x"]


def test_a_connection_that_the_peer_closed_leaves_nothing_behind():
    async def use(services: WeComServices, client: HttpClient):
        await client.request("GET", "/")
        assert len(services._tasks) == 1
        await client.aclose()
        await asyncio.sleep(0.02)
        return services._tasks

    assert with_services(use) == set()


def test_nothing_is_served_before_the_start_or_after_the_stop():
    async def run():
        services = WeComServices(media_lifetime=1.0, response_url_lifetime=1.0)
        await services.stop()
        with pytest.raises(StateError, match="async with"):
            services.add_file(b"x", name="x")
        await services.start()
        await services.stop()
        with pytest.raises(StateError, match="async with"):
            services.add_response_url(lambda _: (0, "ok"))

    asyncio.run(run())
