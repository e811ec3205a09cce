"""rawbot/simulate/http_client.py over real sockets, against servers that behave and servers that do not."""

import asyncio
import ssl
from pathlib import Path

import pytest
from honest_bot import listen, read_request, response

from rawbot.errors import ConfigError, FetchError
from rawbot.simulate.http_client import HttpClient, HttpPool, split_url

# Made with openssl: a P-256 key and a certificate for 127.0.0.1, signed by itself, good from 2000 to 2100.
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgPNIcw7+vtbISoT2F
I4Baiv/VTeQtx1aDoDv1TRq779mhRANCAAQmXiU4rJqC99VfS7R7P6jbIn722zFG
QZTC0K+eKf6pDBvjtp54juHoQlVStLGvIegFEiOzEeNhHj0xET2Y7E7S
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBfzCCASWgAwIBAgIUbMgXILiuwSWvvHXtiNBfu70QVEkwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTAwMDEwMTAwMDAwMFoYDzIxMDAwMTAx
MDAwMDAwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQmXiU4rJqC99VfS7R7P6jbIn722zFGQZTC0K+eKf6pDBvjtp54juHo
QlVStLGvIegFEiOzEeNhHj0xET2Y7E7So1MwUTAPBgNVHREECDAGhwR/AAABMA4G
A1UdDwEB/wQEAwIChDAPBgNVHRMBAf8EBTADAQH/MB0GA1UdDgQWBBQ6a7POlQ1j
KYwMDhzwlDh9diuArzAKBggqhkjOPQQDAgNIADBFAiBznkq1+icKDrU+aFMJtmjs
mYGJHOx4YZamaYl7ryFz9AIhANfJrKxGR6AuDLWa9oUIwpAAK0OpwsUEDKgul3oM
8L4U
-----END CERTIFICATE-----
"""


class Server:
    """Answers every request with the next of `answers` (the last one for ever); None hangs up instead."""

    def __init__(self, *answers: bytes | None, close_after: int = 10**9) -> None:
        self.answers = list(answers)
        self.close_after = close_after
        self.requests: list[tuple[str, str, bytes, bytes]] = []
        self.connections = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.connections += 1
        for _ in range(self.close_after):
            self.requests.append(await read_request(reader))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if answer is None:
                return
            for byte in answer:
                writer.write(bytes((byte,)))
                await asyncio.sleep(0)


def talk(server: Server, *requests: tuple, **options: float):
    """Make the requests one after the other with one client; return the last answer."""

    async def run():
        async with listen(server.handle) as url, HttpClient(url, **options) as client:
            for request in requests:
                answer = await client.request(*request)
                await asyncio.sleep(0.005 if len(requests) > 1 else 0)
            return answer

    return asyncio.run(run())


def test_one_connection_serves_all_requests():
    server = Server(response(200, b"hello", b"Content-Type: text/x"))
    answer = talk(server, ("GET", "/a?b=%2B"), ("POST", "/c", [(b"x-y", b"z")], b"body"), ("GET", "/d"))
    assert (answer.status, answer.body, answer.content_type) == (200, b"hello", b"text/x")
    assert answer.headers == [(b"content-length", b"5"), (b"content-type", b"text/x")]
    assert server.connections == 1
    assert [request[:2] for request in server.requests] == [("GET", "/a?b=%2B"), ("POST", "/c"), ("GET", "/d")]
    assert b"x-y: z\r\n" in server.requests[1][2]
    assert server.requests[1][3] == b"body"


def test_a_post_without_a_body_says_so():
    server = Server(response(204, b""))
    assert talk(server, ("POST", "/")).content_type == b""
    assert b"content-length: 0\r\n" in server.requests[0][2].lower()


def test_a_server_that_closes_between_requests_is_called_again():
    server = Server(response(200, b"ok"), close_after=1)
    assert talk(server, ("POST", "/"), ("POST", "/"), ("POST", "/")).body == b"ok"
    assert server.connections == 3


def test_a_server_that_says_close_is_called_again():
    server = Server(response(200, b"ok", b"Connection: close"))
    talk(server, ("GET", "/"), ("GET", "/"))
    assert server.connections == 2


def test_chunks_and_interim_answers_are_read():
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert talk(Server(b"HTTP/1.1 103 Early Hints\r\n\r\n" + chunked), ("GET", "/")).body == b"abcde"


def test_an_answer_to_head_has_no_body():
    assert talk(Server(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), ("HEAD", "/"), ("HEAD", "/")).body == b""


def test_an_answer_may_come_before_the_body_is_taken():
    async def answer_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response(413, b"too much", b"Connection: close"))
        await asyncio.sleep(9)

    async def run():
        async with listen(answer_early) as url, HttpClient(url) as client:
            return await client.request("POST", "/", (), bytes(20_000_000))

    assert asyncio.run(run()).status == 413


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "the server closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "the answer is not good HTTP"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "the answer is not good HTTP"),
        (response(200, bytes(33)), "the answer is larger than 32 bytes"),
    ],
)
def test_a_bad_answer_is_an_error_with_its_reason_and_is_not_asked_for_again(answer: bytes | None, reason: str):
    server = Server(answer)
    with pytest.raises(FetchError, match=reason):
        talk(server, ("POST", "/"), max_body=32)
    assert len(server.requests) == 1


def test_an_answer_that_does_not_come_to_its_end_in_time_is_an_error():
    with pytest.raises(FetchError, match=r"no whole answer within 0\.05 s"):
        talk(Server(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), ("GET", "/"), timeout=0.05)


def test_an_answer_that_breaks_off_is_an_error():
    server = Server(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", close_after=1)
    with pytest.raises(FetchError, match="the answer is not good HTTP"):
        talk(server, ("GET", "/"))


def test_a_change_of_protocol_is_an_error():
    server = Server(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
    with pytest.raises(FetchError, match="another protocol"):
        talk(server, ("GET", "/", [(b"connection", b"upgrade"), (b"upgrade", b"x")]))


def test_after_an_error_the_client_can_be_used_again():
    async def run():
        server = Server(None, response(200, b"ok"))
        async with listen(server.handle) as url, HttpClient(url) as client:
            with pytest.raises(FetchError):
                await client.request("GET", "/")
            return await client.request("GET", "/")

    assert asyncio.run(run()).body == b"ok"


def test_a_cancelled_request_does_not_spoil_the_next_one():
    async def run():
        server = Server(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", response(200, b"next"))
        async with listen(server.handle) as url, HttpClient(url) as client:
            task = asyncio.create_task(client.request("GET", "/"))
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return await client.request("GET", "/")

    assert asyncio.run(run()).body == b"next"


def test_a_port_where_nobody_listens_is_an_error_that_names_it():
    async def run():
        async with listen(Server(b"").handle) as url:
            pass
        async with HttpClient(url) as client:
            await client.request("GET", "/secret")

    with pytest.raises(FetchError, match=r"^127\.0\.0\.1:\d+: ") as caught:
        asyncio.run(run())
    assert "secret" not in str(caught.value)


def test_a_request_that_http_does_not_allow_is_refused():
    with pytest.raises(ConfigError, match="cannot be sent"):
        talk(Server(b""), ("GET", "/", [(b"x", b"a\r\nb: c")]))


def test_requests_of_one_client_wait_for_each_other():
    async def run():
        server = Server(response(200, b"1"), response(200, b"2"))
        async with listen(server.handle) as url, HttpClient(url) as client:
            answers = await asyncio.gather(client.request("GET", "/1"), client.request("GET", "/2"))
            return [answer.body for answer in answers], server.connections

    assert asyncio.run(run()) == ([b"1", b"2"], 1)


def test_a_pool_has_as_many_connections_as_requests_at_once_and_keeps_them():
    async def run():
        server = Server(response(200, b"ok"))
        async with listen(server.handle) as url:
            pool = HttpPool(url)
            await asyncio.gather(pool.request("GET", "/"), pool.request("GET", "/"))
            await asyncio.gather(pool.request("GET", "/"), pool.request("GET", "/"))
            await pool.aclose()
            await pool.aclose()
            return server.connections

    assert asyncio.run(run()) == 2


def _contexts(tmp_path: Path):
    path = tmp_path / "certificate.pem"
    path.write_text(CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, ssl.create_default_context(cafile=str(path))


def test_https_is_spoken_to_a_server_whose_certificate_is_trusted(tmp_path: Path):
    async def run(serving: ssl.SSLContext, trusting: ssl.SSLContext):
        async with (
            listen(Server(response(200, b"safe")).handle, ssl_context=serving) as url,
            HttpClient(url, ssl_context=trusting) as client,
        ):
            return await client.request("GET", "/")

    assert asyncio.run(run(*_contexts(tmp_path))).body == b"safe"


def test_a_certificate_that_nobody_vouches_for_is_an_error(tmp_path: Path):
    async def run(serving: ssl.SSLContext, _: ssl.SSLContext):
        async with listen(Server(response(200, b"safe")).handle, ssl_context=serving) as url:
            await HttpPool(url).request("GET", "/")

    with pytest.raises(FetchError, match="CERTIFICATE_VERIFY_FAILED"):
        asyncio.run(run(*_contexts(tmp_path)))


@pytest.mark.parametrize(
    ("url", "authority", "target"),
    [
        ("http://bot.example/callback?a=%2B", "bot.example", "/callback?a=%2B"),
        ("https://bot.example:443", "bot.example", "/"),
        ("http://bot.example:443/", "bot.example:443", "/"),
        ("http://[::1]:8080/x", "[::1]:8080", "/x"),
    ],
)
def test_a_url_is_taken_apart(url: str, authority: str, target: str):
    address = split_url(url)
    assert (address.authority, address.target) == (authority, target)


@pytest.mark.parametrize(
    "url",
    ["bot.example/secret", "ftp://bot.example/secret", "http:///secret", "http://h:secret/", "http://h/secret é",
     "http://h/se cret"],
)  # fmt: skip
def test_what_is_no_url_is_refused_and_not_repeated(url: str):
    with pytest.raises(ConfigError) as caught:
        HttpClient(url)
    assert "secret" not in str(caught.value)
