"""rawbot/aio/outgoing/sending.py: which client sends for whom, and how much is said of failures."""

import asyncio
import logging

import pytest
from fake_endpoint import until

from rawbot.aio.outgoing.sending import MAX_SENDING, Outgoing
from rawbot.errors import FetchError
from rawbot.exchange import OutgoingRequest, Response, Source

URL = "https://x.example/?SECRET"
NO_CONTENT = Response(204)


class FakeClient:
    """Answers, or raises, what it is told to."""

    def __init__(self, answer: Response | Exception | None = NO_CONTENT, *, available: bool = True) -> None:
        self.answer = answer
        self.available = available
        self.sent: list[OutgoingRequest] = []
        self.gate: asyncio.Event | None = None

    async def send(self, request: OutgoingRequest, now: float) -> Response | None:
        assert request.expires_at > now
        self.sent.append(request)
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class FakeSource(Source):
    """Has a number of requests to send; `content` is whether it takes what comes of them for a success."""

    def __init__(self, *, trusted: bool = False, content: bool = True) -> None:
        self.trusted = trusted
        self.content = content
        self.left = 0
        self.received: list[int | None] = []

    def say(self, count: int = 1) -> None:
        self.left += count
        assert self.on_ready is not None
        self.on_ready()

    def waiting(self) -> int:
        return self.left

    def next_request(self, now: float) -> OutgoingRequest | None:
        if not self.left:
            return None
        self.left -= 1
        return OutgoingRequest("POST", URL, b"SECRET", ((b"authorization", b"SECRET"),), now + 60)

    def receive(self, request: OutgoingRequest, response: Response | None, now: float) -> bool:
        assert request.expires_at > now
        self.received.append(response and response.status)
        return self.content


class FakePoll(FakeSource):
    """Its requests only wait for news."""

    def next_request(self, now: float) -> OutgoingRequest | None:
        request = super().next_request(now)
        if request is not None:
            request.disposable = True
        return request


async def begin(*sources: FakeSource, client: FakeClient, own_client: FakeClient | None = None) -> Outgoing:
    outgoing = Outgoing(asyncio.get_running_loop(), client, own_client)
    for source in sources:
        outgoing.add(source)
    outgoing.start()
    return outgoing


def test_only_what_goes_to_the_operator_s_own_urls_goes_by_the_client_for_them():
    trusted, other = FakeSource(trusted=True), FakeSource()
    client, own_client = FakeClient(), FakeClient(Response(200))

    async def run() -> None:
        outgoing = await begin(trusted, other, client=client, own_client=own_client)
        trusted.say(2)
        other.say()
        await outgoing.finish(5)

    asyncio.run(run())
    assert (len(own_client.sent), len(client.sent)) == (2, 1)
    assert (trusted.received, other.received) == ([200, 200], [204])


def test_without_a_client_for_them_one_does_for_both():
    trusted, client = FakeSource(trusted=True), FakeClient()

    async def run() -> None:
        outgoing = await begin(trusted, client=client)
        trusted.say()
        await outgoing.finish(5)

    asyncio.run(run())
    assert len(client.sent) == 1


def test_without_the_extra_it_is_said_once_and_no_source_counts_on_being_heard(caplog: pytest.LogCaptureFixture):
    sources = FakeSource(), FakeSource(trusted=True)

    async def run() -> None:
        await begin(*sources, client=FakeClient(available=False))
        await begin(client=FakeClient(available=False))

    asyncio.run(run())
    assert [source.enabled for source in sources] == [False, False]
    assert ["the extra 'client'" in record.getMessage() for record in caplog.records] == [True]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (FetchError("x.example: not done within 5 s"), "x.example: not done within 5 s"),
        (OSError(URL), "OSError"),
        (ValueError("SECRET"), "ValueError"),
    ],
)
def test_a_failure_is_told_with_its_reason_but_not_with_what_may_hold_a_url(
    answer: Exception, told: str, caplog: pytest.LogCaptureFixture
):
    source = FakeSource()

    async def run() -> None:
        outgoing = await begin(source, client=FakeClient(answer))
        source.say()
        await outgoing.finish(5)

    with caplog.at_level(logging.DEBUG, "rawbot"):
        asyncio.run(run())
    assert source.received == [504]
    assert [record.getMessage() for record in caplog.records] == [f"an outgoing request failed: {told}"]
    assert "SECRET" not in caplog.text


@pytest.mark.parametrize("answer", [FetchError("x.example: it broke"), OSError("SECRET"), Response(500), None])
def test_of_many_failures_only_the_first_are_told_one_by_one(
    answer: Response | Exception | None, caplog: pytest.LogCaptureFixture
):
    source = FakeSource(content=False)

    async def run() -> None:
        outgoing = await begin(source, client=FakeClient(answer))
        source.say(100)
        while len(source.received) < 100:
            await outgoing.finish(5)
        assert len(caplog.records) == 10
        outgoing.tick(0.0)
        assert len(caplog.records) == 10
        outgoing.tick(1e12)
        outgoing.tick(1e12)
        assert len(caplog.records) == 11

    asyncio.run(run())
    more = 190 if isinstance(answer, Exception) else 90
    assert caplog.records[-1].getMessage() == f"outgoing requests have failed, or were lost, {more} more times"
    assert "SECRET" not in caplog.text


def test_what_only_waits_for_news_is_cut_off_at_once_and_without_a_word(caplog: pytest.LogCaptureFixture):
    class Silent(FakeClient):
        async def send(self, request: OutgoingRequest, now: float) -> Response | None:
            await super().send(request, now)
            await asyncio.sleep(30)
            return None

    poll = FakePoll()

    async def run(*, finishing: bool) -> None:
        outgoing = await begin(poll, client=Silent())
        poll.say()
        await asyncio.sleep(0)
        assert len(outgoing.under_way()) == 1
        if finishing:
            await asyncio.wait_for(outgoing.finish(20), 5)
            assert outgoing.under_way() == []
        outgoing.close()
        await asyncio.wait_for(outgoing.finish(20), 5)

    with caplog.at_level(logging.WARNING):
        asyncio.run(run(finishing=True))
        asyncio.run(run(finishing=False))
    assert (poll.received, caplog.messages) == ([], [])


def test_a_poll_that_was_answered_is_followed_by_the_next():
    poll = FakePoll()

    async def run() -> None:
        outgoing = await begin(poll, client=FakeClient())
        poll.say(3)
        await until(lambda: poll.received == [204] * 3)
        await outgoing.finish(1)
        assert outgoing._disposable == set()

    asyncio.run(run())


def test_what_is_answered_just_as_all_is_closed_has_nothing_sent_after_it():
    source, client = FakeSource(), FakeClient()

    async def run() -> None:
        client.gate = asyncio.Event()
        outgoing = await begin(source, client=client)
        source.say(MAX_SENDING + 5)
        await asyncio.sleep(0)
        client.gate.set()
        await asyncio.sleep(0)
        assert len(source.received) == MAX_SENDING  # but nobody has asked for the next ones yet
        outgoing.close()
        await asyncio.sleep(0.01)
        assert (len(client.sent), source.left) == (MAX_SENDING, 5)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())
