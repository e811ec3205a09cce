"""A shell for `VKApi` whose clock and network are played by the test."""

from collections.abc import Callable, Generator
from urllib.parse import parse_qsl

import orjson

from rawbot.exchange import OutgoingRequest, Response
from rawbot.vk.api import VKApi
from rawbot.vk.errors import VKError

TOKEN = "vk1.a.SecretTokenOfACommunity-_"
URL = "https://api.vk.example/method/"
NOW = 1_700_000_000.0


def half(count: int) -> bytes:
    """Chance in the middle."""
    return b"\x80".ljust(count, b"\0")


def error(code: int, message: str = "it is so", **more: object) -> Response:
    return answer({"error": {"error_code": code, "error_msg": message, **more}})


def result(value: object) -> Response:
    return answer({"response": value})


def answer(value: object, status: int = 200, **headers: str) -> Response:
    fields = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return Response(status, orjson.dumps(value), b"application/json", fields)


def method_of(request: OutgoingRequest) -> str:
    assert request.url.startswith(URL)
    return request.url.removeprefix(URL)


def fields_of(request: OutgoingRequest) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True))


class FakePromise:
    """What a future is to the wing."""

    def __init__(self) -> None:
        self.outcome: object = None
        self.is_done = False

    def __await__(self) -> Generator[None, None, object]:
        yield
        return self.outcome

    def done(self) -> bool:
        return self.is_done

    def set_result(self, result: object, /) -> None:
        assert not self.is_done
        self.outcome, self.is_done = result, True

    def set_exception(self, exception: BaseException, /) -> None:
        assert isinstance(exception, VKError)
        self.set_result(exception)

    def cancel(self) -> None:
        self.is_done = True


class FakeShell:
    """Takes requests as soon as they are there, up to `places` at once; the test answers them."""

    def __init__(
        self,
        *,
        places: int = 16,
        entropy: Callable[[int], bytes] = half,
        batch: bool = False,
        url: str = URL,
        **settings: float,
    ) -> None:
        self.api = VKApi(TOKEN, url=url, entropy=entropy, batch=batch, **settings)
        self.now = NOW
        self.places = places
        self.sending: list[OutgoingRequest] = []
        self.outcomes: list[object] = []
        """What `submit` was told, in order."""
        self.api.promise = FakePromise
        self.api.enabled = True
        self.api.on_ready = self.pump

    def pump(self) -> None:
        while len(self.sending) < self.places and (request := self.api.next_request(self.now)) is not None:
            self.sending.append(request)

    def submit(
        self, method: str = "users.get", on_done: Callable[[object], None] | None = None, **params: object
    ) -> None:
        self.api.submit(method, params, on_done or self.outcomes.append)

    @property
    def request(self) -> OutgoingRequest:
        """The only one under way."""
        (request,) = self.sending
        return request

    def reply(self, response: Response | None, request: OutgoingRequest | None = None) -> None:
        request = request or self.sending[0]
        self.sending.remove(request)
        assert self.api.receive(request, response, self.now)
        self.pump()

    def wait(self, seconds: float) -> None:
        """Let time pass, waking the API when it wants it."""
        end = self.now + seconds
        while self.now < (due := self.api.deadline) <= end:
            self.tick(due)
        self.tick(end)

    def tick(self, now: float) -> None:
        self.now = now
        self.api.tick(now)
        self.pump()
